-- Bring back a counter that was lost; put behind counter.lua in the scripts that do so.
-- KEYS    none of its own: each function is given a counter's key
-- ARGV    none
-- Returns nothing

-- Bring a first-use counter to the window that began then, if that is the later one.
-- Returns whether what is of that window counts: it does in one that began before it was over, too,
-- because that one only began as the other was forgotten.
local function enter(key, start_ms, length_ms)
  local start = tonumber(redis.call("HGET", key, "start") or 0)
  if start < start_ms then
    redis.call("HSET", key, "start", text(start_ms), "spent", 0, "reserved", 0, "excess", 0, "overrun", 0)
    return true
  end
  return start < start_ms + length_ms
end

-- Keep a counter as long as `reserve` would.
local function keep(key, subjects, subject, kind, length_ms)
  redis.call("SADD", subjects, subject)
  for _, name in ipairs({ key, subjects }) do
    if kind ~= "fixed" then
      redis.call("PEXPIRE", name, text(length_ms + KEPT_MS))
    elseif length_ms > 0 then
      redis.call("PEXPIREAT", name, text(length_ms + KEPT_MS))
    end
  end
end

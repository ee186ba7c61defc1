-- Correct one counter of a call whose money moves on; put behind counter.lua in the scripts that do so.
-- KEYS    none of its own: the function is given a counter's key
-- ARGV    none
-- Returns nothing

-- Whether the part of the window that a call was booked in still counts.
local function alive(key, kind, slot, length_ms, bucket_ms, now)
  if redis.call("EXISTS", key) == 0 then return false end
  if kind == "rolling" then return slot >= evict(key, now, length_ms, bucket_ms) end
  if kind == "first-use" then return tonumber(redis.call("HGET", key, "start") or 0) == slot end
  return true
end

local function beyond(amount, reserved) return math.max(0, amount - reserved) end

-- Book that a call is charged `new` and no longer `old`; `was_reserved`: its reservation ends with this.
-- Returns the row of the journal, whether the window was over, and spent, reserved and overrun now.
local function book(key, charge, slot, held, bound, was_reserved, old, new, now)
  local kind, length_ms = charge[5], tonumber(charge[6])
  local reserved_was, excess_was = was_reserved and held or 0, was_reserved and bound - held or 0
  local change, over = new - old, beyond(new, held) - beyond(old, held)
  local counts = alive(key, kind, slot, length_ms, tonumber(charge[7]), now)
  if counts or (kind == "rolling" and redis.call("EXISTS", key) == 1) then
    if reserved_was > 0 then redis.call("HINCRBY", key, "reserved", text(-reserved_was)) end
    if excess_was > 0 then redis.call("HINCRBY", key, "excess", text(-excess_was)) end
  end
  if counts then
    if change ~= 0 then redis.call("HINCRBY", key, "spent", text(change)) end
    if over ~= 0 then redis.call("HINCRBY", key, "overrun", text(over)) end
    if kind == "rolling" and change ~= 0 then
      redis.call("HINCRBY", key, "s" .. text(slot), text(change))
      local oldest = redis.call("HGET", key, "oldest")
      if not oldest or slot < tonumber(oldest) then redis.call("HSET", key, "oldest", text(slot)) end
    end
  end
  -- Of a fixed window the record has the end where others have a length; 0: it has none.
  local ends = kind == "fixed" and length_ms or 0
  local prior = not counts or (ends > 0 and now >= ends)
  local spent, reserved, _, overrun = read(key)
  return movement(charge[1], charge[4], counts and change or 0, -reserved_was, spent, reserved, overrun, prior),
    prior, spent, reserved, overrun
end

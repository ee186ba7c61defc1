-- Read how counters stand; nothing changes but what has left a rolling window.
-- KEYS  1..: counters
-- ARGV  three per counter: kind, length in ms, width of a sub-bucket in ms (0 where it has none);
--       of a reported window: when a report is stale, in ms, and what to do without one
-- Returns  { now in ms,  then per counter: spent, reserved, overrun, and the start of a first-use
--          window, the limit of a reported one (-1: closed), or 0 }
local now = clock_ms()
local answer = { now }
for position, key in ipairs(KEYS) do
  local at = (position - 1) * 3
  local kind, length_ms, start = ARGV[at + 1], tonumber(ARGV[at + 2]), 0
  if kind == "rolling" then evict(key, now, length_ms, tonumber(ARGV[at + 3])) end
  local spent, reserved, _, overrun = read(key)
  if kind == "first-use" then
    start = tonumber(redis.call("HGET", key, "start") or 0)
    if now >= start + length_ms then spent, reserved, overrun, start = 0, 0, 0, 0 end
  end
  if kind == "reported" then
    local limit, closed = reported_limit(key, now, length_ms, tonumber(ARGV[at + 3]))
    start = closed and -1 or limit
  end
  for _, number in ipairs({ spent, reserved, overrun, start }) do answer[#answer + 1] = number end
end
return answer

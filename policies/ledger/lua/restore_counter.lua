-- Raise a counter to what the archive has of it; what it has more, stays.
-- KEYS  1: the counter   2: the set of its window's subjects   3: journal
-- ARGV  1: the counter's name   2: unit   3: subject   4: kind   5: length_ms   6: bucket_ms, as in a charge
--       7: spent   8: overrun, in the unit   9: first-use: when the window began, in ms
--       10..: two per sub-bucket of a rolling window: its number, what was booked in it
-- Returns  { spent before, overrun before, spent, reserved, overrun }
-- Example: spent 20, given 100: spent is 100, the journal has + 80. Given 100 again: nothing changes.
local key, kind, length_ms = KEYS[1], ARGV[4], tonumber(ARGV[5])
local now = clock_ms()

local function raise(field, amount)
  local missing = math.max(0, amount - tonumber(redis.call("HGET", key, field) or 0))
  redis.call("HINCRBY", key, field, text(missing))
  return missing
end

local counts = kind ~= "first-use" or enter(key, tonumber(ARGV[9]), length_ms)
local live = kind == "rolling" and evict(key, now, length_ms, tonumber(ARGV[6])) or 0
local spent_before, _, _, overrun_before = read(key)
local raised, overrun_raised = 0, 0
if kind == "rolling" then
  local oldest = tonumber(redis.call("HGET", key, "oldest") or live)
  for position = 10, #ARGV, 2 do
    local bucket = tonumber(ARGV[position])
    if bucket >= live then
      raised = raised + raise("s" .. text(bucket), tonumber(ARGV[position + 1]))
      oldest = math.min(oldest, bucket)
    end
  end
  redis.call("HSET", key, "oldest", text(oldest))
  redis.call("HINCRBY", key, "spent", text(raised))
elseif counts then
  raised = raise("spent", tonumber(ARGV[7]))
end
if counts then
  overrun_raised = raise("overrun", tonumber(ARGV[8]))
  keep(key, KEYS[2], ARGV[3], kind, length_ms)
end

local spent, reserved, _, overrun = read(key)
if raised + overrun_raised > 0 then
  local data = '{"spent_before":' .. text(spent_before) .. ',"overrun_before":' .. text(overrun_before) .. "}"
  journal(KEYS[3], "restore", "", now, data,
    { movement(ARGV[1], ARGV[2], raised, 0, spent, reserved, overrun) })
end
return { spent_before, overrun_before, spent, reserved, overrun }

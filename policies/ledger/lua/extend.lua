-- Begin the lease of calls anew, by Redis' clock; calls that ended meanwhile stay ended.
-- KEYS  1: deadlines
-- ARGV  1: lease in ms   2..: call ids
-- Returns how many of the calls are still reserved
local deadline, still = text(clock_ms() + tonumber(ARGV[1])), 0
for position = 2, #ARGV do
  if redis.call("ZSCORE", KEYS[1], ARGV[position]) then
    redis.call("ZADD", KEYS[1], deadline, ARGV[position])
    still = still + 1
  end
end
return still

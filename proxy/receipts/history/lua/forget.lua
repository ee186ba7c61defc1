-- Forget groups that were given away altogether and whose rows will not be read again.
-- KEYS  1: groups   2: giving   3: given   4: how far the history was read
-- ARGV  1: the time before which rows will not be read again   2: how many groups at most
-- Returns how many were forgotten; as many as that means that there may be more
local names = redis.call("ZRANGEBYSCORE", KEYS[3], "-inf", "(" .. ARGV[1], "LIMIT", 0, ARGV[2])
for _, name in ipairs(names) do
  redis.call("HDEL", KEYS[1], name)
  redis.call("ZREM", KEYS[3], name)
end
local old = tonumber(redis.call("HGET", KEYS[4], "forgotten_before_ms") or 0)
redis.call("HSET", KEYS[4], "forgotten_before_ms", text(math.max(old, tonumber(ARGV[1]))))
return #names

-- Note that the history was read whole, and up to when; the place never goes back.
-- KEYS  1: groups   2: giving   3: given   4: how far the history was read
-- ARGV  1: the place, in the provider's time   2: the endpoint   3: now
-- Returns the place as it is kept
local old = tonumber(redis.call("HGET", KEYS[4], "place_ms") or ARGV[1])
local place = text(math.max(old, tonumber(ARGV[1])))
redis.call("HSET", KEYS[4], "place_ms", place, "endpoint", ARGV[2], "last_pass_ms", ARGV[3])
redis.call("HDEL", KEYS[4], "resume_ms")
return place

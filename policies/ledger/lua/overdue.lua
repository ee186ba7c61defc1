-- Find calls whose lease has run out, by Redis' clock.
-- KEYS  1: deadlines
-- ARGV  1: how many at most
-- Returns ids of calls, oldest deadline first
return redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", text(clock_ms()), "LIMIT", 0, ARGV[1])

-- Give up the claim on the archive's work, so that another replica need not wait for its end.
-- KEYS  1: claim
-- ARGV  1: who claimed it
-- Returns 1 when it was given up, 0 when it is another's
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("DEL", KEYS[1])

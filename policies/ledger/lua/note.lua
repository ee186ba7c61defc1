-- Remember under which ids the provider may know a call; a record that is gone is not made anew.
-- KEYS  1: the call's record
-- ARGV  1: ids (JSON array of texts), likeliest first
-- Returns 1 when noted, 0 when there is no such call
if redis.call("EXISTS", KEYS[1]) == 0 then return 0 end
redis.call("HSET", KEYS[1], "ids", ARGV[1])
return 1

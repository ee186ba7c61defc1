-- Replace a text by its successor, unless another replica has replaced it meanwhile.
-- KEYS  1: the text
-- ARGV  1: the text as it was read (empty: there was none)   2: its successor
-- Returns 1 when it was replaced, else 0; then nothing was changed
if (redis.call("GET", KEYS[1]) or "") ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[1], ARGV[2])
return 1

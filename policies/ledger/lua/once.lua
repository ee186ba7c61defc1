-- Journal that a named value changed, unless it is the value that was journalled last.
-- KEYS  1: hash of values by name   2: journal
-- ARGV  1: name   2: value   3: kind of the entry   4: data (JSON)
-- Returns 1 when it was journalled, 0 when the value is no news
if redis.call("HGET", KEYS[1], ARGV[1]) == ARGV[2] then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
journal(KEYS[2], ARGV[3], "", clock_ms(), ARGV[4], {})
return 1

-- Tell something once: mark it, journal it, and put it out for every receiver, in one step.
-- KEYS  1: marks (hash: mark -> when it ends, in ms; 0: when it is taken away)
--       2: what is to be sent (hash: id -> JSON)   3: when (sorted set of ids)   4: journal
-- ARGV  1: mark   2: when it ends, in ms (0: when it is taken away)   3: data for the journal (JSON)
--       4: kind of the journal's entry   5: now, in ms, by Redis' clock
--       6..: for each receiver: id, then what it is sent (JSON)
-- Returns 1 when it is news, 0 when its mark stands
assert(#ARGV >= 5 and #ARGV % 2 == 1, "an id and a text for each receiver")
local now = tonumber(ARGV[5])
local ends = redis.call("HGET", KEYS[1], ARGV[1])
if ends and (ends == "0" or tonumber(ends) > now) then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
redis.call("XADD", KEYS[4], "*", "v", "1", "kind", ARGV[4], "call", "", "at", ARGV[5],
  "data", ARGV[3], "moves", "[]")
for position = 6, #ARGV, 2 do
  redis.call("HSET", KEYS[2], ARGV[position], ARGV[position + 1])
  redis.call("ZADD", KEYS[3], ARGV[5], ARGV[position])
end
return 1

-- Take over what a provider reports of a quota: how far its counter may go, or that nothing passes.
-- KEYS  1: the counter   2: the set of its window's subjects
-- ARGV  1: limit in the counter's unit (empty: not known)   2: why it is closed (empty: it is open)
--       3: when the report was asked for, in ms by Redis' clock   4: how long a closure holds, in ms
--       5: subject
-- Returns 1 when taken over; 0 when a later report was, or a call was refused since this one was asked for
-- Example: 700 are left, 50 were counted when that was asked for: ARGV 750, "", ...; 750 is the limit.
local now, began = clock_ms(), tonumber(ARGV[3])
local before = redis.call("HMGET", KEYS[1], "began", "closed", "closed_at", "closed_until")
if before[1] and tonumber(before[1]) > began then return 0 end
local is_closed = before[2] and before[2] ~= "" and now < tonumber(before[4])
if is_closed and tonumber(before[3]) >= began then return 0 end
redis.call("HSET", KEYS[1], "limit", ARGV[1], "began", text(began), "at", text(now), "closed", ARGV[2],
  "closed_at", text(began), "closed_until", text(now + tonumber(ARGV[4])))
redis.call("SADD", KEYS[2], ARGV[5])
redis.call("PEXPIRE", KEYS[1], text(KEPT_MS))
redis.call("PEXPIRE", KEYS[2], text(KEPT_MS))
return 1

-- Close a quota for every replica at once: the provider refused a call because of it.
-- KEYS  1: the counter
-- ARGV  1: why   2: for how long at most, in ms: a report that is asked for from now on may open it before
-- Returns 1 when it was open before, 0 when it was closed already; then it is closed for longer
local now = clock_ms()
local before = redis.call("HMGET", KEYS[1], "closed", "closed_until")
local is_closed = before[1] and before[1] ~= "" and now < tonumber(before[2])
redis.call("HSET", KEYS[1], "closed", ARGV[1], "closed_at", text(now),
  "closed_until", text(now + tonumber(ARGV[2])))
redis.call("PEXPIRE", KEYS[1], text(KEPT_MS))
return is_closed and 0 or 1

-- Claim calls whose receipt is to be looked for now, as many as the provider's pace allows.
-- KEYS  1: calls by when to look for their receipt   2: the provider's pace
-- ARGV  1: now in ms   2: how many at most   3: for how long they are claimed, in ms   4: requests a minute
-- Returns  { for how many ms nothing can be claimed because of the pace, ids of calls… }
-- The pace is a hash: tokens (requests that may be made now; below zero when more were made),
-- at (when they were counted), slow_until (the provider wants nothing before), slow_ms.
local now, count, claim_ms, per_minute = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local pace = redis.call("HMGET", KEYS[2], "tokens", "at", "slow_until")
local slow_until = tonumber(pace[3] or 0)
if now < slow_until then return { slow_until - now } end

-- A burst is what may be asked for in ten seconds.
local burst = math.max(1, per_minute / 6)
local before, at = tonumber(pace[1] or burst), tonumber(pace[2] or now)
local tokens = math.min(burst, before + math.max(0, now - at) * per_minute / 60000)
if tokens < 1 then return { math.ceil((1 - tokens) * 60000 / per_minute) } end

local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now, "LIMIT", 0, math.min(count, math.floor(tokens)))
local answer = { 0 }
for _, call_id in ipairs(due) do
  redis.call("ZADD", KEYS[1], string.format("%.0f", now + claim_ms), call_id)
  answer[#answer + 1] = call_id
end
redis.call("HSET", KEYS[2], "tokens", tostring(tokens - #due), "at", string.format("%.0f", now))
return answer

-- Move a ghost on in the list of ghosts; what it was called first, it is called for good.
-- KEYS  1: hash of ghosts by id   2: sorted set of their ids by when the provider billed them
-- ARGV  1: id   2: the state that it moves to: booking | booked | taken_back   3: the ghost (JSON)
--       4: when the provider billed it, in ms   5: now   6: ghosts billed before are forgotten
--       7: how many ghosts are kept at most
-- Returns  { the state before (empty: it was not known), when it was put first, the ghost as first put }
-- Example: booked twice by two replicas: the first is told `booking`, the second `booked`.
local ORDER = { booking = 1, booked = 2, taken_back = 3 }
local AT_ONCE = 100 -- So few are added at a time that this many forgotten each time suffice.
local id, state, ghost, began = ARGV[1], ARGV[2], ARGV[3], ARGV[5]

local before = ""
local known = redis.call("HGET", KEYS[1], id)
if known then
  before, began, ghost = string.match(known, "^([a-z_]+)|(%d+)|(.*)$")
end
if before == "" or ORDER[state] > ORDER[before] then
  redis.call("HSET", KEYS[1], id, state .. "|" .. began .. "|" .. ghost)
  redis.call("ZADD", KEYS[2], ARGV[4], id)
end

local function forget(ids)
  for _, old in ipairs(ids) do
    if old ~= id then
      redis.call("HDEL", KEYS[1], old)
      redis.call("ZREM", KEYS[2], old)
    end
  end
end

forget(redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", "(" .. ARGV[6], "LIMIT", 0, AT_ONCE))
local excess = redis.call("ZCARD", KEYS[2]) - tonumber(ARGV[7])
if excess > 0 then forget(redis.call("ZRANGE", KEYS[2], 0, math.min(excess, AT_ONCE) - 1)) end
return { before, began, ghost }

-- Functions on one counter; put in front of every script that moves money.
-- KEYS    none of its own: each function is given a counter's key
-- ARGV    none
-- Returns nothing
-- A counter is a hash of whole numbers below 2^53 in the budget's unit:
--   spent, reserved   what counts against the limit now
--   excess            bounds above what is reserved, of calls in flight (`likely` quotes)
--   overrun           charged beyond what was reserved
--   start             first-use windows: when the present window began
--   oldest, s<k>      rolling windows: spent by sub-bucket; s<k> covers [k, k+1) * bucket_ms
--   limit, began, at  reported windows: what was reported, and when that was asked for and told
--   closed, closed_at, closed_until   reported windows: why and since when no call passes

local BUCKETS_MAX = 64        -- 60 sub-buckets, the two at the ends, and rounding.
local EXACT_MAX = 9007199254740991
local KEPT_MS = 35 * 86400000 -- A closed window is kept for receipts that come late.

-- Adding zero turns the double -0, which Redis would not take for an integer, into 0.
local function text(number) return string.format("%.0f", number + 0) end

local function clock_ms()
  local time = redis.call("TIME")
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function first_live(now, length_ms, bucket_ms)
  return math.floor((now - length_ms) / bucket_ms)
end

-- Take out of a rolling window what is wholly older than the window.
local function evict(key, now, length_ms, bucket_ms)
  local live = first_live(now, length_ms, bucket_ms)
  local oldest = tonumber(redis.call("HGET", key, "oldest") or live)
  if oldest >= live then return live end
  local fields, gone = {}, 0
  for bucket = oldest, math.min(live - 1, oldest + BUCKETS_MAX) do
    fields[#fields + 1] = "s" .. text(bucket)
  end
  for _, amount in ipairs(redis.call("HMGET", key, unpack(fields))) do
    gone = gone + tonumber(amount or 0)
  end
  redis.call("HDEL", key, unpack(fields))
  redis.call("HINCRBY", key, "spent", text(-gone))
  redis.call("HSET", key, "oldest", text(live))
  return live
end

-- Begin a first-use window anew when the one before is over. Returns when the present one began.
local function rotate(key, now, length_ms)
  local start = tonumber(redis.call("HGET", key, "start") or 0)
  if start > 0 and now < start + length_ms then return start end
  redis.call("HSET", key, "start", text(now), "spent", 0, "reserved", 0, "excess", 0, "overrun", 0)
  return now
end

-- What a provider's own window admits: its limit, and whether it is closed altogether.
local function reported_limit(key, now, stale_ms, flags)
  local said = redis.call("HMGET", key, "limit", "at", "closed", "closed_until")
  if said[3] and said[3] ~= "" and now < tonumber(said[4]) then return 0, true end
  local refuses_unknown, refuses_stale = flags % 2 == 1, flags >= 2
  if not said[1] or said[1] == "" then return refuses_unknown and 0 or EXACT_MAX, refuses_unknown end
  if now - tonumber(said[2]) > stale_ms then return refuses_stale and 0 or EXACT_MAX, refuses_stale end
  return tonumber(said[1]), false
end

local function read(key)
  local values = redis.call("HMGET", key, "spent", "reserved", "excess", "overrun")
  return tonumber(values[1] or 0), tonumber(values[2] or 0),
    tonumber(values[3] or 0), tonumber(values[4] or 0), values[2] == false
end

-- One row of an entry's `moves`: a JSON array. `prior` is 1 when the window that a call was booked in
-- was over: its closed counter was corrected, or none where a window keeps no closed ones.
local function movement(counter, unit, spent_change, reserved_change, spent, reserved, overrun, prior)
  return "[" .. cjson.encode(counter) .. "," .. cjson.encode(unit) .. "," .. text(spent_change) .. ","
    .. text(reserved_change) .. "," .. text(spent) .. "," .. text(reserved) .. "," .. text(overrun)
    .. (prior and ",1]" or "]")
end

-- Behind `moves`, an entry may have fields of its own, as names and values.
local function journal(key, kind, call_id, now, data, moves, ...)
  redis.call("XADD", key, "*", "v", "1", "kind", kind, "call", call_id, "at", text(now),
    "data", data, "moves", "[" .. table.concat(moves, ",") .. "]", ...)
end

local function split(csv)
  local parts = {}
  for part in string.gmatch(csv, "[^,]+") do parts[#parts + 1] = part end
  return parts
end

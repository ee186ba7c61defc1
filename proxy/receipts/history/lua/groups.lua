-- Functions on one group of rows; put in front of every script of the shelf.
-- KEYS    1: groups by name   2: names of groups with something to give, by when they last changed
--         3: names of the others, by when they may be forgotten   4: how far the history was read
-- ARGV    none of its own
-- Returns nothing
-- All times are in ms: `last` and the scores of KEYS 3 in the provider's time, the rest in Redis'.
-- A group is a JSON object:
--   rows      by identity: { what else is known of the row, ghost (0: none), 1 if a call has it }
--   last      when its last row was written
--   changed   when its last row came to the shelf
--   call      who claimed it; empty for nobody      claimed   when
--   booked    1: the call's receipt is booked, the claim need not be kept
--   ghosts    how many there have been; each has the rows that nobody else has
--   open      the kind of each ghost that is not booked yet, by its number
-- A row is with a call, with one ghost, with both (the ghost was first), or waits.

local KEPT_MS = 3 * 86400000 -- As long as the ledger keeps a call's record.

local function text(number) return string.format("%.0f", number + 0) end

local function load(name)
  local raw = redis.call("HGET", KEYS[1], name)
  return raw and cjson.decode(raw)
end

local function waits(row) return row[2] == 0 and row[3] == 0 end

local function gives(group)
  if next(group.open) then return true end
  for _, row in pairs(group.rows) do
    if waits(row) then return true end
  end
  return false
end

local function store(name, group)
  redis.call("HSET", KEYS[1], name, cjson.encode(group))
  if gives(group) then
    redis.call("ZADD", KEYS[2], text(group.changed), name)
    redis.call("ZREM", KEYS[3], name)
    return
  end
  local until_ms = group.last
  if group.call ~= "" and group.booked == 0 then
    until_ms = math.max(until_ms, group.claimed + KEPT_MS)
  end
  redis.call("ZREM", KEYS[2], name)
  redis.call("ZADD", KEYS[3], text(until_ms), name)
end

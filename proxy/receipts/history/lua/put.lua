-- Put rows with the groups that they belong to; rows that are there already change nothing.
-- KEYS  1: groups   2: giving   3: given   4: how far the history was read
-- ARGV  1: now   then per group: name, time of its last row, how many rows, and for each of those its
--       time, its identity, and what else is known of it
-- Returns how many rows were new
-- Example: a call has 2 rows of a group and a third comes: it waits alone, until it is a ghost's.
local now, at, new = tonumber(ARGV[1]), 2, 0
-- Rows from before were forgotten on purpose. They do not come back as news.
local forgotten_ms = tonumber(redis.call("HGET", KEYS[4], "forgotten_before_ms") or 0)

while at <= #ARGV do
  local name, last, count = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
  local group = load(name)
  local known, changed = group, false
  group = group or { rows = {}, last = last, changed = now, call = "", claimed = 0, booked = 0,
    ghosts = 0, open = {} }
  for _ = 1, count do
    local row_ms, identity, extra = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
    at = at + 3
    if not group.rows[identity] and (known or row_ms >= forgotten_ms) then
      group.rows[identity] = { extra, 0, 0 }
      changed, new = true, new + 1
    end
  end
  if changed then
    group.last = math.max(group.last, last)
    group.changed = math.max(group.changed, now)
    store(name, group)
  end
end
return new

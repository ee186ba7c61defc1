-- Make ghosts of rows that wait for so long that no call will ask for them, and show all open ghosts.
-- KEYS  1: groups   2: giving   3: given   4: how far the history was read
-- ARGV  1: now   2: for how long nothing must have come   3: of how many groups at most
-- Returns  per ghost: { name, ghost, kind, call id (empty for none),
--                       then per row: identity, what else is known of it }
--   unclaimed   no call has the group
--   late        the rows came after the group was given to a call or to an earlier ghost
local now, count_max = tonumber(ARGV[1]), tonumber(ARGV[3])
local before = text(now - tonumber(ARGV[2]))
local answer = {}

for _, name in ipairs(redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", before, "LIMIT", 0, count_max)) do
  local group = load(name)
  local ghost = group.ghosts + 1
  local made = false
  for _, row in pairs(group.rows) do
    if waits(row) then row[2], made = ghost, true end
  end
  if made then
    local late = group.call ~= "" or group.ghosts > 0
    group.open[text(ghost)] = late and "late" or "unclaimed"
    group.ghosts = ghost
    store(name, group)
  end
  for number, kind in pairs(group.open) do
    local shown = { name, number, kind, group.call }
    for identity, row in pairs(group.rows) do
      if row[2] == tonumber(number) then
        shown[#shown + 1] = identity
        shown[#shown + 1] = row[1]
      end
    end
    answer[#answer + 1] = shown
  end
end
return answer

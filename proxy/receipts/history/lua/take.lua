-- Give a call the group that it is known by, for good; the same call gets the same again.
-- KEYS  1: groups   2: giving   3: given   4: how far the history was read
-- ARGV  1: now   2: call id   3: for how long nothing must have come   4..: names, the likeliest first
-- Returns  { "taken", name,  then per row: ghost (0: none), identity, what else is known of it }
--          { "unsettled" } when there is one that may still grow, { "none" } when there is none
local now, call_id, settle_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local result = { "none" }

local function given(name, group)
  local answer = { "taken", name }
  for identity, row in pairs(group.rows) do
    if row[3] == 1 then
      answer[#answer + 1] = row[2]
      answer[#answer + 1] = identity
      answer[#answer + 1] = row[1]
    end
  end
  return answer
end

local groups = {}
for at = 4, #ARGV do
  local group = load(ARGV[at])
  if group and group.call == call_id then return given(ARGV[at], group) end
  groups[at] = group
end
for at = 4, #ARGV do
  local group = groups[at]
  if group and group.call == "" then
    if now - group.changed >= settle_ms then
      for _, row in pairs(group.rows) do row[3] = 1 end
      group.call, group.claimed = call_id, now
      store(ARGV[at], group)
      return given(ARGV[at], group)
    end
    result = { "unsettled" }
  end
end
return result

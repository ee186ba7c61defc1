-- Note that a ghost, or the call that has a group, is booked: it is not offered, or kept, any longer.
-- KEYS  1: groups   2: giving   3: given   4: how far the history was read
-- ARGV  1: name   2: number of the ghost, or empty   3: call id, or empty
-- Returns 1 when there was something to note, else 0
local name, ghost, call_id = ARGV[1], ARGV[2], ARGV[3]
local group = load(name)
if not group then return 0 end
local is_news = false
if ghost ~= "" then
  is_news = group.open[ghost] ~= nil
  group.open[ghost] = nil
elseif group.call == call_id then
  is_news = group.booked == 0
  group.booked = 1
end
if not is_news then return 0 end
store(name, group)
return 1

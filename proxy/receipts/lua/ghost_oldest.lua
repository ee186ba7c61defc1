-- Find the oldest of some calls.
-- KEYS  1..: the calls' records
-- ARGV  none
-- Returns when the first of them was reserved, in ms; empty when none has a record any more
local oldest = nil
for _, record in ipairs(KEYS) do
  local at = tonumber(redis.call("HGET", record, "at") or nil)
  if at and (not oldest or at < oldest) then oldest = at end
end
return oldest and string.format("%.0f", oldest) or ""

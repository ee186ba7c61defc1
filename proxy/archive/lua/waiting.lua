-- Tell how many entries wait for the archive, claiming nothing.
-- KEYS  1: journal   2: where the archive stands
-- ARGV  none
-- Returns  { where the archive stands (empty: nobody has said), entries in the journal,
--            entries that it ever had (-1: this server does not tell), the id of its last entry }
local length, added, last = redis.call("XLEN", KEYS[1]), -1, "0-0"
if redis.call("EXISTS", KEYS[1]) == 1 then
  local said = redis.call("XINFO", "STREAM", KEYS[1])
  for at = 1, #said, 2 do
    if said[at] == "entries-added" then added = said[at + 1] end
    if said[at] == "last-generated-id" then last = said[at + 1] end
  end
end
return { redis.call("GET", KEYS[2]) or "", length, added, last }

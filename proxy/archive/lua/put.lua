-- Note where the archive stands, and cut off of the journal what it has had for long enough.
-- KEYS  1: claim   2: journal   3: where the archive stands
-- ARGV  1: who claims the work   2: where the archive stands now   3: the id of the last entry that it has
--       4: how long entries stay after they came, in ms   5: how many are cut off at once, about
-- Returns  how many were cut off, or -1 when the claim is another's by now; then nothing was changed
-- The last entry that the archive has stays: by it a journal that was emptied is told from one that was not.
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return -1 end
redis.call("SET", KEYS[3], ARGV[2])
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local before = math.max(0, now - tonumber(ARGV[4]))
local first = ARGV[3]
if tonumber(string.match(first, "^%d+")) >= before then first = string.format("%.0f-0", before) end
-- About: whole nodes go, which costs next to nothing.
return redis.call("XTRIM", KEYS[2], "MINID", "~", first, "LIMIT", ARGV[5])

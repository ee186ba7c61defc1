-- Make or end a grant and journal it in the same step, unless someone else changed one since they
-- were read. The functions of policies/ledger/lua/counter.lua stand in front.
-- KEYS  1: hash of grants by their id   2: their version   3: journal
-- ARGV  1: the version at which they were read   2: id of the grant   3: the grant (JSON)
--       4: kind of the journal's entry (empty: it has one already)   5: its data (JSON)
--       6..: ids of grants to be forgotten
-- Returns  the new version, or -1 when the version has moved on; then nothing was changed
-- Example: one grant is made when nothing was there before: ARGV 0, id, grant, kind, data; returns the time.
assert(#KEYS == 3, "a hash, a version and a journal")
assert(#ARGV >= 5, "a version, a grant and an entry")

if tonumber(redis.call("GET", KEYS[2]) or 0) ~= tonumber(ARGV[1]) then return -1 end

redis.call("HSET", KEYS[1], ARGV[2], ARGV[3])
for at = 6, #ARGV do redis.call("HDEL", KEYS[1], ARGV[at]) end
-- Never a number that was there before, also when Redis was emptied or put back to an old copy:
-- whoever holds grants of that number would take them for these.
local now = clock_ms()
local version = math.max(tonumber(ARGV[1]) + 1, now)
redis.call("SET", KEYS[2], text(version))
if ARGV[4] ~= "" then journal(KEYS[3], ARGV[4], "", now, ARGV[5], {}) end
return version

-- Change callers' keys and journal it in the same step, unless someone else changed one since they
-- were read. The functions of policies/ledger/lua/counter.lua stand in front.
-- KEYS  1: hash of keys by the digest of their secret   2: their version   3: journal
-- ARGV  1: the version at which they were read   2: kind of the journal's entry   3: its data (JSON)
--       4: how many records are to be written
--       5..: digest and record (JSON) of each, then the digests that are to be removed
-- Returns  the new version, or -1 when the version has moved on; then nothing was changed
-- Example: one key is made when nothing was there before: ARGV 0, kind, data, 1, digest, record;
-- returns the time.
assert(#KEYS == 3, "a hash, a version and a journal")
local written = tonumber(ARGV[4])
local first_removed = 5 + 2 * written
assert(#ARGV >= first_removed - 1, "a digest and a record for each that is written")

if tonumber(redis.call("GET", KEYS[2]) or 0) ~= tonumber(ARGV[1]) then return -1 end

for at = 5, first_removed - 1, 2 do
  redis.call("HSET", KEYS[1], ARGV[at], ARGV[at + 1])
end
for at = first_removed, #ARGV do
  redis.call("HDEL", KEYS[1], ARGV[at])
end
-- Never a number that was there before, also when Redis was emptied or put back to an old copy:
-- whoever holds keys of that number would take them for these.
local now = clock_ms()
local version = math.max(tonumber(ARGV[1]) + 1, now)
redis.call("SET", KEYS[2], text(version))
journal(KEYS[3], ARGV[2], "", now, ARGV[3], {})
return version

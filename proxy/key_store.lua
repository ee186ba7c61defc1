-- Change callers' keys, unless someone else changed one since they were read.
-- KEYS  1: hash of keys by the digest of their secret   2: their version
-- ARGV  1: the version at which they were read   2: how many records are to be written
--       3..: digest and record (JSON) of each, then the digests that are to be removed
-- Returns  the new version, or -1 when the version has moved on; then nothing was changed
-- Example: one key is made when nothing was there before: ARGV 0, 1, digest, record; returns the time.
assert(#KEYS == 2, "a hash and a version")
local written = tonumber(ARGV[2])
local first_removed = 3 + 2 * written
assert(#ARGV >= first_removed - 1, "a digest and a record for each that is written")

if tonumber(redis.call("GET", KEYS[2]) or 0) ~= tonumber(ARGV[1]) then return -1 end

for at = 3, first_removed - 1, 2 do
  redis.call("HSET", KEYS[1], ARGV[at], ARGV[at + 1])
end
for at = first_removed, #ARGV do
  redis.call("HDEL", KEYS[1], ARGV[at])
end
-- Never a number that was there before, also when Redis was emptied or put back to an old copy:
-- whoever holds keys of that number would take them for these.
local time = redis.call("TIME")
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local version = math.max(tonumber(ARGV[1]) + 1, now_ms)
redis.call("SET", KEYS[2], string.format("%.0f", version))
return version

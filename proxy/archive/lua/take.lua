-- Claim the archive's work, or keep the claim, and read what comes next in the journal.
-- KEYS  1: claim   2: journal   3: where the archive stands
-- ARGV  1: who claims it   2: for how long, in ms   3: the id behind which to read   4: entries at most
--       5: bytes at most (of what is read; the last entry may go beyond)
-- Returns  { 1 when it is ours or 0 when it is another's, where the archive stands (empty: nobody has said),
--            entries in the journal, entries that it ever had (-1: this server does not tell),
--            rows as XRANGE gives them… }
-- Example: nothing was archived yet, and the journal has two entries: { 1, "", 2, 2, row, row }.
local PAGE = 100
local stands = redis.call("GET", KEYS[3]) or ""
local length, added = redis.call("XLEN", KEYS[2]), -1
if redis.call("EXISTS", KEYS[2]) == 1 then
  local said = redis.call("XINFO", "STREAM", KEYS[2])
  for at = 1, #said, 2 do
    if said[at] == "entries-added" then added = said[at + 1] end
  end
end

local owner = redis.call("GET", KEYS[1])
if owner and owner ~= ARGV[1] then return { 0, stands, length, added } end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])

local answer = { 1, stands, length, added }
local behind, left, bytes = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
while left > 0 and bytes > 0 do
  local rows = redis.call("XRANGE", KEYS[2], "(" .. behind, "+", "COUNT", math.min(left, PAGE))
  if #rows == 0 then break end
  for _, row in ipairs(rows) do
    if bytes <= 0 then break end
    for _, text in ipairs(row[2]) do bytes = bytes - #text end
    answer[#answer + 1] = row
    behind, left = row[1], left - 1
  end
end
return answer

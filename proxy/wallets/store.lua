-- Keep what a poll found, if the claim under which it was made still holds; and let go of the claim.
-- KEYS  1: the wallet   2: the claim
-- ARGV  1: the claim's token   2: the wallet (JSON), or nothing where the poll came to nothing
-- Returns 1 when the claim held, 0 when it had run out or is another's; then nothing was changed
-- Example: ARGV "a1b2", "{…}": the wallet is {…}, and anybody may poll next.
assert(#KEYS == 2 and #ARGV == 2, "a wallet and a claim, a token and a text")
if redis.call("GET", KEYS[2]) ~= ARGV[1] then return 0 end

if ARGV[2] ~= "" then redis.call("HSET", KEYS[1], "report", ARGV[2]) end
redis.call("DEL", KEYS[2])
return 1

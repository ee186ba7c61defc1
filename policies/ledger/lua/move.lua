-- Move a call's money from one state to the next and correct every counter that it is charged to.
-- Which moves are legal is said by the caller, from the one table in policies/reservations.py.
-- KEYS  1: the call's record   2: deadlines   3: journal   4: calls that wait for a receipt, by when
--       to look for it   5: sums   6..: the call's counters, as in its record
-- ARGV  1: call id   2: operation   3: the state it leads to   4: states it may start from, by commas
--       5: how long to keep the record after it, in ms (0: as before)   6: outcome (JSON)
--       7: look for a receipt after so many ms (-1: no longer, whatever comes of this; empty: leave that)
--       8: what to add to the sums (JSON array of [field, number]; empty: nothing)
--       9..: what each budget is charged from now on, in its unit; `held`: as reserved; `kept`: as it is
-- Returns  { result, state, now in ms, closed,  then per budget: spent, reserved, overrun }
--   moved     it took place; closed counts the budgets whose window was over: the closed counter is corrected, or none
--   repeated  the call is in that state already; nothing changed
--   illegal   the call's state allows no such operation; nothing changed
--   unknown   there is no record of the call; nothing changed, but a release leaves a mark, so that a
--             reservation that is still on its way finds it
-- Example: held 5, settled at 3: reserved - 5, spent + 3; a receipt of 4 later: spent + 1.
local FIXED_KEYS, FIXED_ARGV = 5, 8
local SUMS_KEPT_MS = 100 * 86400000
local budgets = #KEYS - FIXED_KEYS
assert(#ARGV == FIXED_ARGV + budgets, "one amount per budget")

local call_id, operation, target = ARGV[1], ARGV[2], ARGV[3]
local keep_ms, outcome, due_ms = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local is_last = operation == "receipt" or operation == "give_up"
local now = clock_ms()
if due_ms == -1 then redis.call("ZREM", KEYS[4], call_id) end
local record = redis.call("HMGET", KEYS[1], "state", "charges", "held", "bound", "slots", "charged")
local state = record[1]

if not state then
  if operation == "release" then
    redis.call("HSET", KEYS[1], "state", target, "at", text(now), "data", "{}", "charges", "[]",
      "held", "", "bound", "", "slots", "", "charged", "", "outcome", outcome)
    redis.call("PEXPIRE", KEYS[1], text(keep_ms))
  end
  return { "unknown", "", now, 0 }
end
if state == target then return { "repeated", state, now, 0 } end
local legal = false
for _, source in ipairs(split(ARGV[4])) do legal = legal or source == state end
if not legal then return { "illegal", state, now, 0 } end

local charges = cjson.decode(record[2])
assert(#charges == budgets, "the counters of the call's record, all of them")
local held, bound, slots = split(record[3]), split(record[4]), split(record[5])
local charged = split(record[6] or "")

local answer, moves, after, closed = { "moved", target, now, 0 }, {}, {}, 0
for position, charge in ipairs(charges) do
  local key, reserved, old = KEYS[FIXED_KEYS + position], tonumber(held[position]), tonumber(charged[position] or 0)
  local new = ARGV[FIXED_ARGV + position]
  if new == "held" then new = reserved elseif new == "kept" then new = old else new = tonumber(new) end
  local prior, counted = false, {}
  moves[position], prior, counted[1], counted[2], counted[3] = book(key, charge, tonumber(slots[position]),
    reserved, tonumber(bound[position]), state == "reserved", old, new, now)
  if prior then closed = closed + 1 end
  after[position] = text(new)
  for _, number in ipairs(counted) do answer[#answer + 1] = number end
end
answer[4] = closed
redis.call("HSET", KEYS[1], "state", target, "charged", table.concat(after, ","),
  is_last and "receipt" or "outcome", outcome)
redis.call("HSETNX", KEYS[1], "ended", text(now))
if due_ms and due_ms >= 0 then redis.call("ZADD", KEYS[4], text(now + due_ms), call_id) end
if ARGV[8] ~= "" then
  for _, sum in ipairs(cjson.decode(ARGV[8])) do redis.call("HINCRBY", KEYS[5], sum[1], text(sum[2])) end
  redis.call("PEXPIRE", KEYS[5], text(SUMS_KEPT_MS))
end
if keep_ms > 0 then redis.call("PEXPIRE", KEYS[1], text(keep_ms)) end
if state == "reserved" then redis.call("ZREM", KEYS[2], call_id) end
journal(KEYS[3], operation, call_id, now, outcome, moves)
return answer

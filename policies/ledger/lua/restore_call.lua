-- Put back the record of a call that was lost, or move on one that is in an older state.
-- KEYS  1: the call's record   2: deadlines   3: journal   4: calls that wait for a receipt, by when
--       to look for it   5..: the call's counters, then for each of them the set of its window's subjects
-- ARGV  1: call id   2: its state   3: states that lead to it, by commas   4: lease in ms
--       5: how long to keep the record of a call that ended, in ms
--       6: look for a receipt after so many ms (empty: do not)
--       7..17: fields of the record: at, data, charges, held, bound, slots, charged, outcome, receipt, ids, ended
-- Returns 1 when something was given back, 0 when the ledger knows the call as well, or better
-- Example: held 5 and lost: reserved + 5. Reserved in an old copy, but settled at 3: reserved - 5, spent + 3.
local FIXED_KEYS = 4
local FIELDS = { "at", "data", "charges", "held", "bound", "slots", "charged", "outcome", "receipt", "ids", "ended" }
local budgets = (#KEYS - FIXED_KEYS) / 2
assert(#ARGV == 6 + #FIELDS, "all fields of the record")
local given = {}
for position, field in ipairs(FIELDS) do given[field] = ARGV[6 + position] end
local call_id, state = ARGV[1], ARGV[2]
local charges = cjson.decode(given.charges)
assert(#charges == budgets, "the counters of the call's record, all of them")

local now, moves = clock_ms(), {}
local found = redis.call("HMGET", KEYS[1], "state", "charges", "held", "bound", "slots", "charged")
local state_was = found[1]

local function counter(position) return KEYS[FIXED_KEYS + position] end

-- Returns where the call is booked from now on.
local function hold(position, charge, held, bound, slot)
  local key, kind, length_ms, counts = counter(position), charge[5], tonumber(charge[6]), true
  if kind == "first-use" then
    counts = enter(key, slot, length_ms)
    if counts then slot = tonumber(redis.call("HGET", key, "start")) end
  elseif kind == "rolling" then
    evict(key, now, length_ms, tonumber(charge[7]))
  end
  if counts then
    redis.call("HINCRBY", key, "reserved", text(held))
    if bound > held then redis.call("HINCRBY", key, "excess", text(bound - held)) end
    keep(key, KEYS[FIXED_KEYS + budgets + position], charge[3], kind, length_ms)
  end
  local spent, reserved, _, overrun = read(key)
  moves[position] = movement(charge[1], charge[4], 0, counts and held or 0, spent, reserved, overrun)
  return text(slot)
end

-- Returns whether the record that is there is of the same charges.
local function move_on()
  local charges_were, held, bound = cjson.decode(found[2]), split(found[3]), split(found[4])
  if #charges_were ~= budgets then return false end
  for position, charge in ipairs(charges_were) do
    if charge[1] ~= charges[position][1] then return false end
  end
  local slots, old, new = split(found[5]), split(found[6] or ""), split(given.charged)
  for position, charge in ipairs(charges_were) do
    moves[position] = book(counter(position), charge, tonumber(slots[position]), tonumber(held[position]),
      tonumber(bound[position]), state_was == "reserved", tonumber(old[position] or 0), tonumber(new[position]), now)
  end
  return true
end

if not state_was then
  if state == "reserved" then
    local held, bound, slots = split(given.held), split(given.bound), split(given.slots)
    for position, charge in ipairs(charges) do
      slots[position] = hold(position, charge, tonumber(held[position]), tonumber(bound[position]), tonumber(slots[position]))
    end
    given.slots = table.concat(slots, ",")
    redis.call("ZADD", KEYS[2], text(now + tonumber(ARGV[4])), call_id)
  end
  for field, value in pairs(given) do
    if value ~= "" then redis.call("HSET", KEYS[1], field, value) end
  end
else
  local leads = false
  for _, source in ipairs(split(ARGV[3])) do leads = leads or source == state_was end
  if not leads or not move_on() then return 0 end
  for _, field in ipairs({ "charged", "outcome", "receipt" }) do redis.call("HSET", KEYS[1], field, given[field]) end
  if given.ids ~= "" then redis.call("HSET", KEYS[1], "ids", given.ids) end
  if given.ended ~= "" then redis.call("HSETNX", KEYS[1], "ended", given.ended) end
  redis.call("ZREM", KEYS[2], call_id)
end
redis.call("HSET", KEYS[1], "state", state)
if state ~= "reserved" then redis.call("PEXPIRE", KEYS[1], ARGV[5]) end
if ARGV[6] ~= "" then redis.call("ZADD", KEYS[4], text(now + tonumber(ARGV[6])), call_id) end
local data = '{"state":"' .. state .. (state_was and '","was":"' .. state_was or "") .. '"}'
journal(KEYS[3], "restore", call_id, now, data, moves)
return 1

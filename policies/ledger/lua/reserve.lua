-- Hold what a call asks of every budget, or of none of them; journal the decision in the same step.
-- KEYS  1: the call's record   2: deadlines   3: journal   4: version of the callers' keys
--       5..: one counter per budget, then for each of them the set of its window's subjects
-- ARGV  1: call id   2: decide | try | force   3: lease in ms   4: data for the journal (JSON)
--       5: charges (JSON array, one [counter, budget, subject, unit, kind, length_ms, bucket_ms] each)
--       6..: eight per budget: kind, mode, limit, held, bound, overrun_max in the budget's unit, then
--            fixed: start and end of the window in ms (end 0: never)
--            rolling: length and width of a sub-bucket in ms      first-use: length in ms and 0
--            reported: when a report is stale, in ms; what to do without one (1: refuse what was never
--                      reported, 2: refuse what is stale, 3: both). The limit is the reported one.
-- Returns  { outcome, now in ms, keys version, detail,  then per budget: spent, reserved, overrun, slot }
--            (slot of a reported window: its limit now; -1: it is closed)
--   admitted   detail: budgets in mode warn or shadow that would have refused, as positions, by commas
--   refused    detail: position of the first budget without room, then the time in ms when there may
--              be room again (0: not before the window ends), by a comma
--   passed     a window does not contain now: ask again with the windows of `now`; nothing changed
--   duplicate  detail: the state in which a call of this id is
-- Example: two budgets of 10 and 5 dollars, a quote of 1 dollar: 1e9 is added to `reserved` of both.
local FIXED_KEYS, FIXED_ARGV, PER_BUDGET = 4, 5, 8
local budgets = (#KEYS - FIXED_KEYS) / 2
assert(#ARGV == FIXED_ARGV + budgets * PER_BUDGET, "eight arguments per budget")

local call_id, admission, lease_ms, data = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local now = clock_ms()
local keys_version = tonumber(redis.call("GET", KEYS[4]) or 0)
local charges = cjson.decode(ARGV[5])

local function reply(outcome, detail, rows)
  local answer = { outcome, now, keys_version, detail }
  for _, row in ipairs(rows) do
    answer[#answer + 1] = row.spent
    answer[#answer + 1] = row.reserved
    answer[#answer + 1] = row.overrun
    answer[#answer + 1] = row.slot
  end
  return answer
end

local function prepare(position)
  local at = FIXED_ARGV + (position - 1) * PER_BUDGET
  local row = {
    key = KEYS[FIXED_KEYS + position], subjects = KEYS[FIXED_KEYS + budgets + position],
    name = charges[position][1], budget = charges[position][2], subject = charges[position][3],
    unit = charges[position][4],
    kind = ARGV[at + 1], mode = ARGV[at + 2], limit = tonumber(ARGV[at + 3]), held = tonumber(ARGV[at + 4]),
    bound = tonumber(ARGV[at + 5]), overrun_max = tonumber(ARGV[at + 6]),
    a = tonumber(ARGV[at + 7]), b = tonumber(ARGV[at + 8]), slot = 0,
  }
  if row.kind == "fixed" then
    row.passed = now < row.a or (row.b > 0 and now >= row.b)
  elseif row.kind == "rolling" then
    evict(row.key, now, row.a, row.b)
    row.slot = math.floor(now / row.b)
  elseif row.kind == "reported" then
    row.limit, row.closed = reported_limit(row.key, now, row.a, row.b)
    row.slot = row.closed and -1 or row.limit
  else
    row.slot = rotate(row.key, now, row.a)
  end
  row.spent, row.reserved, row.excess, row.overrun, row.new = read(row.key)
  return row
end

-- A call that asks for nothing (a free model) passes a budget that is used up.
local function short(row)
  if row.closed then return true end
  if row.held == 0 and row.bound == 0 then return false end
  local counted = row.spent + row.reserved
  return counted + row.held > row.limit or counted + row.excess + row.bound > row.limit + row.overrun_max
end

-- When enough has left a rolling window for the call to fit; 0 when nothing that leaves suffices.
local function retry_at(row)
  if row.kind ~= "rolling" then return 0 end
  local missing = row.spent + row.reserved + row.held - row.limit
  local oldest = tonumber(redis.call("HGET", row.key, "oldest") or 0)
  for bucket = oldest, oldest + BUCKETS_MAX do
    local amount = redis.call("HGET", row.key, "s" .. text(bucket))
    missing = missing - tonumber(amount or 0)
    if amount and missing <= 0 then return (bucket + 1) * row.b + row.a end
  end
  return 0
end

local function hold(row)
  row.reserved = redis.call("HINCRBY", row.key, "reserved", text(row.held))
  if row.kind ~= "fixed" then
    -- An idle rolling window is empty long before its key goes.
    redis.call("SADD", row.subjects, row.subject)
    redis.call("PEXPIRE", row.subjects, text(row.a + KEPT_MS))
    redis.call("PEXPIRE", row.key, text(row.a + KEPT_MS))
  elseif row.new then
    redis.call("SADD", row.subjects, row.subject)
    if row.b > 0 then
      redis.call("PEXPIREAT", row.subjects, text(row.b + KEPT_MS))
      redis.call("PEXPIREAT", row.key, text(row.b + KEPT_MS))
    end
  end
  if row.bound > row.held then redis.call("HINCRBY", row.key, "excess", text(row.bound - row.held)) end
  local above = row.spent + row.reserved - row.limit - row.overrun
  if admission == "force" and row.mode == "enforce" and row.kind ~= "reported" and above > 0 then
    row.overrun = redis.call("HINCRBY", row.key, "overrun", text(above))
  end
  return movement(row.name, row.unit, 0, row.held, row.spent, row.reserved, row.overrun)
end

-- One row of an entry's `checks`: what the decision looked at. Lua's own encoder would round amounts.
local function check(row, charge)
  local names = cjson.encode({ row.budget, row.subject, row.unit, row.name, row.kind })
  return string.sub(names, 1, -2) .. "," .. charge[6] .. "," .. charge[7] .. "," .. text(row.slot) .. ","
    .. text(row.held) .. "," .. text(row.bound) .. "," .. text(row.limit) .. ',"' .. row.mode .. '",'
    .. text(row.overrun_max) .. (row.short and ",1]" or ",0]")
end

local rows = {}
for position = 1, budgets do
  rows[position] = prepare(position)
end
local state = redis.call("HGET", KEYS[1], "state")
if state and state ~= "reserved" then return reply("duplicate", state, rows) end
if state then
  -- The answer to the first try was lost on the way.
  for position, slot in ipairs(split(redis.call("HGET", KEYS[1], "slots"))) do
    rows[position].slot = tonumber(slot)
  end
  return reply("admitted", "", rows)
end

local first_short, noticed, checks = nil, {}, {}
for position, row in ipairs(rows) do
  if row.passed then return reply("passed", "", rows) end
  row.short = short(row)
  if row.short then
    if row.mode == "enforce" then first_short = first_short or position else noticed[#noticed + 1] = position end
  end
  checks[position] = check(row, charges[position])
end
local checked = "[" .. table.concat(checks, ",") .. "]"

if first_short and admission ~= "force" then
  if admission == "decide" then
    local moves = {}
    for position, row in ipairs(rows) do
      moves[position] = movement(row.name, row.unit, 0, 0, row.spent, row.reserved, row.overrun)
    end
    journal(KEYS[3], "refused", call_id, now, data, moves, "checks", checked)
  end
  return reply("refused", first_short .. "," .. text(retry_at(rows[first_short])), rows)
end

local moves, held, bound, slots = {}, {}, {}, {}
for position, row in ipairs(rows) do
  moves[position] = hold(row)
  held[position], bound[position], slots[position] = text(row.held), text(row.bound), text(row.slot)
end
redis.call("HSET", KEYS[1], "state", "reserved", "at", text(now), "data", data, "charges", ARGV[5],
  "held", table.concat(held, ","), "bound", table.concat(bound, ","), "slots", table.concat(slots, ","))
redis.call("ZADD", KEYS[2], text(now + lease_ms), call_id)
if admission == "force" then
  journal(KEYS[3], "admitted", call_id, now, data, moves, "checks", checked, "forced", "1")
else
  journal(KEYS[3], "admitted", call_id, now, data, moves, "checks", checked)
end
if #noticed > 0 then
  local names = {}
  for _, position in ipairs(noticed) do names[#names + 1] = charges[position][2] end
  journal(KEYS[3], "would_refuse", call_id, now, cjson.encode({ budgets = names }), {})
end
return reply("admitted", table.concat(noticed, ","), rows)

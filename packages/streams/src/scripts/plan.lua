-- Set when a schedule fires next, unless it is already planned by the same rule. Any number of schedulers may say it.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] rule ('' removes the schedule)  ARGV[4] the plan {rule, nominalMs, fireMs, afterMs, tz} as JSON (no
--   nominalMs = never)  ARGV[5] the nominal ms that another time-zone database had computed ('' = this is not about that)  ARGV[6] how long the
--   ledger of a removed schedule stays, ms  ARGV[7] the times of the old rule that are due, as the caller counted them, {fromMs, toMs, count}
--   as JSON; '' = not counted
-- Returns 'planned', 'unchanged', 'moved' or 'removed'. Applying an unchanged manifest again does not move the next time.
-- When a rule changes or ends while times of it are due, they are recorded as missed: nobody will fire them any more.
-- {rule, nominalMs, fireMs, afterMs, tz}; without a nominal time it never fires again. Nil when nothing was ever planned.
local function read_plan(address)
  local text = redis.call('HGET', TAG .. ':schedules', address)
  if not text then return nil end
  if string.sub(text, 1, 1) == '{' then return cjson.decode(text) end
  -- As earlier versions kept it: the rule alone, its time as the score.
  local due = tonumber(redis.call('ZSCORE', TAG .. ':ticks', address) or '')
  return { rule = text, nominalMs = due, fireMs = due, afterMs = due and due - 1, tz = '' }
end

local address, rule, planned, moved_from = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local ns, queue = split_address(address)
local known = read_plan(address)

local function time_text(ms) return ms and whole(ms) or 'null' end

-- From its nominal time on: one that still waits for its jitter fires no more either, and the new rule is planned from now.
local function record_missed()
  if not known or not known.nominalMs or known.nominalMs > now_ms() then return end
  local from, to, count = known.nominalMs, known.nominalMs, 1
  local counted = ARGV[7] ~= '' and cjson.decode(ARGV[7])
  -- Counted for the plan that the caller saw; where another fired meanwhile, the next one alone is known.
  if counted and counted.fromMs == from then to, count = counted.toMs, counted.count end
  local row = { atMs = from, kind = 'planned', state = 'missed', reason = 'changed', tz = known.tz }
  if count > 1 then row.toMs, row.count = to, count end
  record(address, 'changed~' .. whole(from), whole(from), cjson.encode(row))
  append('schedule', 'schedule.missed', ns, queue, queue,
    '{"count":' .. whole(count) .. ',"reason":"changed","fromMs":' .. whole(from) .. ',"toMs":' .. whole(to) .. '}')
end

if rule == '' then
  if not known then return 'unchanged' end
  record_missed()
  redis.call('HDEL', TAG .. ':schedules', address)
  redis.call('ZREM', TAG .. ':ticks', address)
  redis.call('HDEL', TAG .. ':schedule-pauses', address)
  redis.call('HDEL', TAG .. ':last-success', address)
  file_fresh(address)
  redis.call('HDEL', HIGH, address)
  redis.call('PEXPIRE', ledger_key(address), ARGV[6])
  redis.call('PEXPIRE', rows_key(address), ARGV[6])
  append('schedule', 'schedule.removed', ns, queue, queue, '{}')
  return 'removed'
end

local plan = cjson.decode(planned)

local function write_plan()
  redis.call('HDEL', HIGH, address)
  redis.call('HSET', TAG .. ':schedules', address, planned)
  if plan.fireMs then
    redis.call('ZADD', TAG .. ':ticks', whole(plan.fireMs), address)
  else
    redis.call('ZREM', TAG .. ':ticks', address)
  end
end

if known and known.rule == rule then
  -- Only another time-zone database moves a rule that is the same, and only forward: of two schedulers the newer one's counts.
  if moved_from == '' or plan.tz <= known.tz or (known.nominalMs and whole(known.nominalMs) or 'never') ~= moved_from then return 'unchanged' end
  write_plan()
  if plan.nominalMs == known.nominalMs then return 'unchanged' end
  append('schedule', 'schedule.moved', ns, queue, queue, '{"fromMs":' .. time_text(known.nominalMs) .. ',"toMs":' .. time_text(plan.nominalMs)
    .. ',"fromTz":' .. cjson.encode(known.tz) .. ',"toTz":' .. cjson.encode(plan.tz) .. '}')
  return 'moved'
end

record_missed()
redis.call('PERSIST', ledger_key(address))
redis.call('PERSIST', rows_key(address))
write_plan()
append('schedule', 'schedule.planned', ns, queue, queue,
  '{"rule":' .. cjson.encode(rule) .. (plan.nominalMs and ',"nextAtMs":' .. whole(plan.nominalMs) or '') .. ',"tz":' .. cjson.encode(plan.tz) .. '}')
return 'planned'

-- Set when a schedule fires next, unless it is already planned by the same rule. Any number of schedulers may say it.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] rule ('' removes the schedule)  ARGV[4] the plan {rule, nominalMs, fireMs, afterMs, tz} as JSON (no
--   nominalMs = never)  ARGV[5] the nominal ms that another time-zone database had computed ('' = this is not about that)  ARGV[6] how long the
--   ledger of a removed schedule stays, ms
-- Returns 'planned', 'unchanged', 'moved' or 'removed'. Applying an unchanged manifest again does not move the next time.
-- When a rule changes while a time of the old one is due, that time is recorded as missed: nobody will fire it any more.
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

if rule == '' then
  if not known then return 'unchanged' end
  redis.call('HDEL', TAG .. ':schedules', address)
  redis.call('ZREM', TAG .. ':ticks', address)
  redis.call('HDEL', TAG .. ':schedule-pauses', address)
  redis.call('HDEL', TAG .. ':last-success', address)
  redis.call('PEXPIRE', ledger_key(address), ARGV[6])
  redis.call('PEXPIRE', rows_key(address), ARGV[6])
  append('schedule', 'schedule.removed', ns, queue, queue, '{}')
  return 'removed'
end

local plan = cjson.decode(planned)
local function time_text(ms) return ms and whole(ms) or 'null' end

local function write_plan()
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

if known and known.fireMs and known.fireMs <= now_ms() then
  local name = 'changed~' .. whole(known.nominalMs)
  local row = { atMs = known.nominalMs, kind = 'planned', state = 'missed', reason = 'changed', tz = known.tz }
  record(address, name, whole(known.nominalMs), cjson.encode(row))
  append('schedule', 'schedule.missed', ns, queue, queue, '{"count":1,"reason":"changed","fromMs":' .. whole(known.nominalMs) .. ',"toMs":' .. whole(known.nominalMs) .. '}')
end
redis.call('PERSIST', ledger_key(address))
redis.call('PERSIST', rows_key(address))
write_plan()
append('schedule', 'schedule.planned', ns, queue, queue,
  '{"rule":' .. cjson.encode(rule) .. (plan.nominalMs and ',"nextAtMs":' .. whole(plan.nominalMs) or '') .. ',"tz":' .. cjson.encode(plan.tz) .. '}')
return 'planned'

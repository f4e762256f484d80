-- Set when a schedule fires next, unless it is already planned by the same rule. Any number of schedulers may say it.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] rule ('' removes the schedule)  ARGV[4] the plan {nominalMs, fireMs, afterMs, tz} as JSON (no nominalMs =
--   never)  ARGV[5] the nominal ms that another time-zone database had computed ('' = this is not about that)  ARGV[6] how long the
--   ledger of a removed schedule stays, ms
-- Returns 'planned', 'unchanged', 'moved' or 'removed'. Applying an unchanged manifest again does not move the next time.
-- When a rule changes while a time of the old one is due, that time is recorded as missed: nobody will fire it any more.
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
plan.rule = rule
local function time_text(ms) return ms and whole(ms) or 'null' end

if known and known.rule == rule then
  -- Only another time-zone database moves a rule that is the same, and only forward: of two schedulers the newer one's counts.
  if moved_from == '' or plan.tz <= known.tz or (known.nominalMs and whole(known.nominalMs) or 'never') ~= moved_from then return 'unchanged' end
  write_plan(address, plan)
  if plan.nominalMs == known.nominalMs then return 'unchanged' end
  append('schedule', 'schedule.moved', ns, queue, queue, '{"fromMs":' .. time_text(known.nominalMs) .. ',"toMs":' .. time_text(plan.nominalMs)
    .. ',"fromTz":' .. cjson.encode(known.tz) .. ',"toTz":' .. cjson.encode(plan.tz) .. '}')
  return 'moved'
end

if known and known.fireMs and known.fireMs <= now_ms() then
  local name = 'changed~' .. whole(known.nominalMs)
  record(address, name, { atMs = known.nominalMs, kind = 'planned', state = 'missed', reason = 'changed', tz = known.tz })
  append('schedule', 'schedule.missed', ns, queue, queue, '{"count":1,"reason":"changed","fromMs":' .. whole(known.nominalMs) .. ',"toMs":' .. whole(known.nominalMs) .. '}')
end
redis.call('PERSIST', ledger_key(address))
redis.call('PERSIST', rows_key(address))
write_plan(address, plan)
append('schedule', 'schedule.planned', ns, queue, queue,
  '{"rule":' .. cjson.encode(rule) .. (plan.nominalMs and ',"nextAtMs":' .. whole(plan.nominalMs) or '') .. ',"tz":' .. cjson.encode(plan.tz) .. '}')
return 'planned'

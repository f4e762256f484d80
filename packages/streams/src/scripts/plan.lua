-- Set when a schedule fires next, unless it is already planned by the same rule. Any number of schedulers may say it.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] rule (cron and zone; '' removes the schedule)  ARGV[4] next ms ('' = never)
-- Returns 'planned', 'unchanged' or 'removed'. Applying an unchanged manifest again does not move the next time.
local address, rule, next_ms = ARGV[2], ARGV[3], ARGV[4]
local ns, queue = split_address(address)
local rules, ticks = TAG .. ':schedules', TAG .. ':ticks'
local known = redis.call('HGET', rules, address)

if rule == '' then
  if not known then return 'unchanged' end
  redis.call('HDEL', rules, address)
  redis.call('ZREM', ticks, address)
  append('schedule', 'schedule.removed', ns, queue, queue, '{}')
  return 'removed'
end
if known == rule then return 'unchanged' end
redis.call('HSET', rules, address, rule)
if next_ms == '' then redis.call('ZREM', ticks, address) else redis.call('ZADD', ticks, next_ms, address) end
append('schedule', 'schedule.planned', ns, queue, queue,
  '{"rule":' .. cjson.encode(rule) .. (next_ms ~= '' and ',"nextAtMs":' .. next_ms or '') .. '}')
return 'planned'

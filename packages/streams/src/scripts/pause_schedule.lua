-- Pause or resume a schedule. Durable: it outlives a new manifest and lasts until it is resumed or the schedule is no longer
-- declared. The nominal times that pass meanwhile are in the ledger as skipped; what is a job already is delivered.
-- KEYS[1] log
-- ARGV[2] `pause|resume`  ARGV[3] address  ARGV[4] JSON object of who, why and at
-- Returns 'paused', 'resumed', 'unchanged' or 'unknown'.
local action, address, by = ARGV[2], ARGV[3], ARGV[4]
local pauses = TAG .. ':schedule-pauses'
local ns, queue = split_address(address)
if redis.call('HEXISTS', TAG .. ':schedules', address) == 0 then return 'unknown' end
if action == 'pause' then
  if redis.call('HSETNX', pauses, address, by) == 0 then return 'unchanged' end
  append('schedule', 'schedule.paused', ns, queue, queue, by)
  return 'paused'
end
if redis.call('HDEL', pauses, address) == 0 then return 'unchanged' end
append('schedule', 'schedule.resumed', ns, queue, queue, by)
return 'resumed'

-- One tick: compare the nominal time with the planned one, set the next, and enqueue its job, in one step. However
-- many schedulers see the same due time, one of them fires it.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] nominal ms expected ('' = run now, by hand: nothing is compared or moved)  ARGV[4] next ms ('' = never)
-- ARGV[5] job data JSON ('' = do not fire, only record)  ARGV[6] event JSON  ARGV[7] missed JSON ('' = none)
-- ARGV[8] meta JSON ('' = none)
-- Returns {'fired', job id}, {'passed'} (recorded, not fired) or {'stale'} (another scheduler was first, the plan changed,
--   or the schedule is no longer declared and its queue closed).
-- A scheduler that dies before this leaves the tick due for the next one; after it, nothing is left to do.
local address, nominal, next_ms, data, event, missed, meta = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local ns, queue = split_address(address)
local ticks = TAG .. ':ticks'

if is_closed(address) then return { 'stale' } end
if nominal ~= '' then
  local planned = redis.call('ZSCORE', ticks, address)
  if not planned or tonumber(planned) ~= tonumber(nominal) then return { 'stale' } end
  if next_ms == '' then redis.call('ZREM', ticks, address) else redis.call('ZADD', ticks, next_ms, address) end
end
if missed ~= '' then append('schedule', 'schedule.missed', ns, queue, queue, missed) end
if data == '' then return { 'passed' } end

append('schedule', nominal == '' and 'schedule.triggered' or 'schedule.fired', ns, queue, queue, event)
local position = append('job', 'job.enqueued', ns, queue, '', '{"lane":"normal","data":' .. data .. '}')
make_ready(address, 'normal', position, '', 0, 0, meta, data)
count(address, 'accepted', 1)
return { 'fired', job_id(position) }

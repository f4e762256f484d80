-- Ticks of one or many schedules. For each in one step: compare the planned time with the one that the caller saw, set the
-- next, enqueue the jobs of the nominal times that fire, and write the ledger. However many schedulers see the same due
-- time, one of them fires it, and every nominal time has one row.
-- KEYS[1] log
-- ARGV[2] rows that a ledger keeps, then one JSON object per schedule:
--   address; planned {rule, nominalMs}: compared, and due by the server's clock (absent for a run by hand or a backfill,
--   which move no plan); next {nominalMs, fireMs, afterMs, tz} set with it (no nominalMs = never again);
--   rows [{name, row}] recorded as they are; events [{type, data}]; fires [{name, row, type, event, data, meta}] (data and meta are JSON
--   texts); overlap; paused (as the manifest has it); maxWaiting (of overlap queue); once {key, windowMs}: the idempotency key of a
--   run by hand; advance {id, from, to, running, keepMs, type, event}: the state of the backfill that this is a step of
-- Returns per schedule {'done', outcome per fire…} with outcome {'fired', job}, {'known', job} (that nominal time has its job
--   already), {'replayed', job, name} or {'skipped', reason}; or {'stale'} (another scheduler was first, the plan changed, or the
--   backfill went on), {'early', ms until it is due}, {'closed'} (no longer declared).
-- A scheduler that dies before this leaves the tick due for the next one; after it, nothing is left to do.
local keep, now = tonumber(ARGV[2]), now_ms()
local any_paused = redis.call('EXISTS', TAG .. ':schedule-pauses') == 1
local CANCELLED_BY = '{"who":"millrace","why":"the next tick of its schedule came"}'

local function refusal(call)
  local address = call.address
  if is_closed(address) then return { 'closed' } end
  if call.planned then
    local plan = read_plan(address)
    if not plan or plan.rule ~= call.planned.rule or plan.nominalMs ~= call.planned.nominalMs then return { 'stale' } end
    if plan.fireMs > now then return { 'early', plan.fireMs - now } end
  end
  local advance = call.advance
  if advance and (redis.call('HGET', TAG .. ':backfills', advance.id) or '') ~= advance.from then return { 'stale' } end
  return nil
end

-- Runs that have not ended. One that is nowhere would block its schedule for ever; no path leaves one, and if one did it
-- ends here.
local function runs_of(address)
  local runs = {}
  for _, job in ipairs(redis.call('HKEYS', active_key(address))) do
    local place = locate(job)
    if place and place[1] ~= 'dead' then runs[#runs + 1] = job else redis.call('HDEL', active_key(address), job) end
  end
  return runs
end

-- Why a planned tick does not fire now, nil when it does.
local function why_not(call)
  local address = call.address
  if call.paused or any_paused and redis.call('HEXISTS', TAG .. ':schedule-pauses', address) == 1 then return 'paused' end
  if call.overlap == 'skip' then return #runs_of(address) > 0 and 'overlap' or nil end
  if call.overlap ~= 'queue' or redis.call('HLEN', active_key(address)) <= call.maxWaiting then return nil end
  return #runs_of(address) > call.maxWaiting and 'overlap' or nil
end

local function skip(address, ns, queue, item, reason)
  item.row.state, item.row.reason, item.row.lateMs = 'skipped', reason, nil
  record(address, item.name, item.row)
  local data = { count = 1, reason = reason, from = item.scheduledAt, to = item.scheduledAt }
  append('schedule', 'schedule.skipped', ns, queue, queue, cjson.encode(data))
  return { 'skipped', reason }
end

local function fire(call, item)
  local address = call.address
  local ns, queue = split_address(address)
  local known = read_row(address, item.name)
  if known and known.jobId then return { 'known', known.jobId } end
  local once = call.once and TAG .. ':idem:' .. address .. ':' .. call.once.key
  local before = once and redis.call('GET', once)
  if before then return { 'replayed', string.match(before, '^(%S+) (.*)$') } end
  local reason = call.planned and why_not(call)
  if reason then return skip(address, ns, queue, item, reason) end
  if call.overlap == 'cancel' and call.planned then
    for _, job in ipairs(runs_of(address)) do cancel_anywhere(job, CANCELLED_BY) end
  end
  append('schedule', item.type, ns, queue, queue, item.event)
  local position = append('job', 'job.enqueued', ns, queue, '', '{"lane":"normal","meta":' .. item.meta .. ',"data":' .. item.data .. '}')
  make_ready(address, 'normal', position, '', 0, 0, item.meta, item.data)
  count(address, 'accepted', 1)
  local job = job_id(position)
  redis.call('HSET', active_key(address), job, item.name)
  item.row.jobId, item.row.firedAtMs = job, now
  record(address, item.name, item.row)
  if once then redis.call('SET', once, job .. ' ' .. item.name, 'PX', call.once.windowMs) end
  return { 'fired', job }
end

local function advance_backfill(address, advance)
  redis.call('HSET', TAG .. ':backfills', advance.id, advance.to)
  local ends = TAG .. ':backfill-ends'
  redis.call('ZADD', ends, advance.running and 'inf' or whole(now), advance.id)
  if advance.type then
    local ns, queue = split_address(address)
    append('schedule', advance.type, ns, queue, queue, advance.event)
  end
  if advance.running then return end
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', whole(now - advance.keepMs), 'LIMIT', 0, 100)) do
    redis.call('HDEL', TAG .. ':backfills', old)
    redis.call('ZREM', ends, old)
  end
end

local function run(call)
  local refused = refusal(call)
  if refused then return refused end
  local address = call.address
  local ns, queue = split_address(address)
  if call.planned then
    call.next.rule = call.planned.rule
    write_plan(address, call.next)
  end
  for _, each in ipairs(call.rows or {}) do record(address, each.name, each.row) end
  for _, event in ipairs(call.events or {}) do append('schedule', event.type, ns, queue, queue, event.data) end
  local reply = { 'done' }
  for _, item in ipairs(call.fires or {}) do reply[#reply + 1] = fire(call, item) end
  if call.advance then advance_backfill(address, call.advance) end
  trim_ledger(address, keep)
  return reply
end

local results = {}
for i = 3, #ARGV do results[#results + 1] = run(cjson.decode(ARGV[i])) end
return results

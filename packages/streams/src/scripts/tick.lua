-- Ticks of one or many schedules. For each in one step: compare the plan with the one that the caller saw, set the next,
-- enqueue the jobs of the nominal times that fire, and write the ledger. However many schedulers see the same due time, one
-- of them fires it, and every nominal time has one row.
-- KEYS[1] log
-- ARGV[2] rows that a ledger keeps  ARGV[3] how late is still on time, ms; then for each schedule:
--   address; the plan as it was seen ('' for a run by hand or a backfill, which move no plan); when that is due, ms; the next
--   plan; when that is due ('' = never again); what is rare, as JSON or ''; how many times fire; then of each of these:
--   name; nominal ms; ms at which it was to fire ('' = now); its row, type, event, data and meta. Row and event are JSON objects
--   without their closing brace: how late it is, is put in here.
--   Rare: rows [{name, atMs, row}] recorded as they are; events [{type, data}]; overlap; paused (as the manifest has it); maxWaiting
--   (of overlap queue); once {key, windowMs}: the idempotency key of a run by hand; advance {id, from, to, running, keepMs, type,
--   event}: the state of the backfill that this is a step of
-- Returns per schedule {'done', outcome per fire…} with outcome {'fired', job, ms late}, {'known', job} (that nominal time has its
--   job already), {'replayed', job, name} or {'skipped', reason}; or {'stale'} (another scheduler was first, the plan changed, or
--   the backfill went on), {'early', ms until it is due}, {'closed'} (not declared, or not open yet).
-- A scheduler that dies before this leaves the tick due for the next one; after it, nothing is left to do.
-- A thousand schedules may be due at once and wait for each other here, so everything that can be is text made by the caller.
local keep, on_time, now = tonumber(ARGV[2]), tonumber(ARGV[3]), now_ms()
local any_paused = redis.call('EXISTS', TAG .. ':schedule-pauses') == 1
local CANCELLED_BY = '{"who":"millrace","why":"the next tick of its schedule came"}'
local NOTHING_RARE = {}

local at = 3
local function next_argument()
  at = at + 1
  return ARGV[at]
end

local function read_call()
  local call = { address = next_argument(), seen = next_argument(), due = next_argument() }
  call.next, call.next_due = next_argument(), next_argument()
  local rare = next_argument()
  call.rare, call.fires = rare == '' and NOTHING_RARE or cjson.decode(rare), {}
  for i = 1, tonumber(next_argument()) do
    local fire = { name = next_argument(), at_ms = next_argument(), fire_ms = next_argument(), row = next_argument() }
    fire.type, fire.event, fire.data, fire.meta = next_argument(), next_argument(), next_argument(), next_argument()
    call.fires[i] = fire
  end
  return call
end

local function refusal(call, stored, is_open)
  if not is_open then return { 'closed' } end
  if call.seen ~= '' then
    if call.seen ~= stored then return { 'stale' } end
    local early = tonumber(call.due) - now
    if early > 0 then return { 'early', early } end
  end
  local advance = call.rare.advance
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
  local address, rare = call.address, call.rare
  if rare.paused or any_paused and redis.call('HEXISTS', TAG .. ':schedule-pauses', address) == 1 then return 'paused' end
  if rare.overlap == 'skip' then return #runs_of(address) > 0 and 'overlap' or nil end
  if rare.overlap ~= 'queue' or redis.call('HLEN', active_key(address)) <= rare.maxWaiting then return nil end
  return #runs_of(address) > rare.maxWaiting and 'overlap' or nil
end

local function skip(address, ns, queue, item, reason)
  redis.call('HSET', rows_key(address), item.name, item.row .. ',"state":"skipped","reason":"' .. reason .. '"}')
  local data = { count = 1, reason = reason, from = item.name, to = item.name }
  append('schedule', 'schedule.skipped', ns, queue, queue, cjson.encode(data))
  return { 'skipped', reason }
end

-- Those that fire together are late together, and numbers take longer to write than to compare.
local now_text, late_ms, late_text = whole(now), nil, nil
local function lateness(fire_ms)
  local late = fire_ms == '' and 0 or math.max(0, now - tonumber(fire_ms))
  if late ~= late_ms then late_ms, late_text = late, ',"lateMs":' .. whole(late) end
  return late, late_text
end

-- What fires and is not written yet. The facts of one namespace stand in one entry of the log: an entry for each would be a
-- quarter of what a tick costs. Their queues differ, so the entry names none, and each fact names its own.
local firing = {}

local function write_one(each, position)
  local address, item = each.address, each.item
  make_ready(address, 'normal', position, '', 0, 0, item.meta, item.data)
  count(address, 'accepted', 1)
  local job = job_id(position)
  redis.call('HSET', active_key(address), job, item.name)
  local state = each.late > on_time and ',"state":"late"' or ',"state":"fired"'
  redis.call('HSET', rows_key(address), item.name, item.row .. state .. each.late_text .. ',"jobId":"' .. job .. '","firedAtMs":' .. now_text .. '}')
  if each.once then redis.call('SET', each.once, job .. ' ' .. item.name, 'PX', each.window) end
  each.reply[each.nth] = { 'fired', job, each.late }
end

local function write_firing()
  local schedules, jobs, shared, written = nil, nil, nil, 0
  local function on_jobs(position, n)
    local ms, seq = split_position(position)
    for i = 0, n - 1 do
      written = written + 1
      write_one(firing[written], ms .. '-' .. whole(seq + i))
    end
  end
  for _, each in ipairs(firing) do
    local item = each.item
    local same = each.ns .. ' ' .. item.type
    if same ~= shared then
      if shared then
        schedules.flush()
        jobs.flush()
      end
      schedules, jobs = facts_of('schedule', item.type, each.ns, ''), facts_of('job', 'job.enqueued', each.ns, '', on_jobs)
      shared = same
    end
    schedules.add(each.queue, item.event .. each.late_text .. '}')
    jobs.add(each.queue, '{"lane":"normal","meta":' .. item.meta .. ',"data":' .. item.data .. '}')
  end
  if shared then
    schedules.flush()
    jobs.flush()
  end
  firing = {}
end

-- The reply of a firing; nil where `write_firing` puts it in.
local function fire(call, item, ns, queue, reply, nth)
  local address, rare = call.address, call.rare
  local once = rare.once and TAG .. ':idem:' .. address .. ':' .. rare.once.key
  local before = once and redis.call('GET', once)
  if before then return { 'replayed', string.match(before, '^(%S+) (.*)$') } end
  if redis.call('ZADD', ledger_key(address), item.at_ms, item.name) == 0 then
    write_firing()
    local known = read_row(address, item.name)
    if known and known.jobId then return { 'known', known.jobId } end
  end
  local reason = call.seen ~= '' and why_not(call)
  if reason then return skip(address, ns, queue, item, reason) end
  if rare.overlap == 'cancel' and call.seen ~= '' then
    for _, job in ipairs(runs_of(address)) do cancel_anywhere(job, CANCELLED_BY) end
  end
  local late, text = lateness(item.fire_ms)
  firing[#firing + 1] = {
    address = address, ns = ns, queue = queue, item = item, late = late, late_text = text,
    once = once, window = once and rare.once.windowMs, reply = reply, nth = nth,
  }
  -- What is rare may look at what is written.
  if rare ~= NOTHING_RARE then write_firing() end
  return nil
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
  local address, rare = call.address, call.rare
  if rare ~= NOTHING_RARE then write_firing() end
  local ns, queue = split_address(address)
  for _, each in ipairs(rare.rows or {}) do record(address, each.name, whole(each.atMs), each.row) end
  for _, event in ipairs(rare.events or {}) do append('schedule', event.type, ns, queue, queue, event.data) end
  local reply = { 'done' }
  for i, item in ipairs(call.fires) do
    local known = fire(call, item, ns, queue, reply, i + 1)
    if known then reply[i + 1] = known end
  end
  if rare.advance then advance_backfill(address, rare.advance) end
  return reply
end

-- One command for what is the same for all.
local calls, addresses, results = {}, {}, {}
while at < #ARGV do
  calls[#calls + 1] = read_call()
  addresses[#addresses + 1] = calls[#calls].address
end
local stored = redis.call('HMGET', TAG .. ':schedules', unpack(addresses))
local limits = redis.call('HMGET', TAG .. ':limits', unpack(addresses))
local idle = redis.call('SMISMEMBER', TAG .. ':idle', unpack(addresses))
local open = redis.call('SMISMEMBER', TAG .. ':queues', unpack(addresses))
local moved, plans, times, never = {}, {}, {}, {}
for i, call in ipairs(calls) do
  local address = call.address
  known_limits[address] = limits[i] and cjson.decode(limits[i]) or false
  woken[address] = idle[i] == 0
  results[i] = refusal(call, not moved[address] and stored[i], open[i] == 1)
  if not results[i] and call.seen ~= '' then
    moved[address] = true
    plans[#plans + 1], plans[#plans + 2] = address, call.next
    if call.next_due == '' then
      never[#never + 1] = address
    else
      times[#times + 1], times[#times + 2] = call.next_due, address
    end
  end
end
if #plans > 0 then redis.call('HSET', TAG .. ':schedules', unpack(plans)) end
if #times > 0 then redis.call('ZADD', TAG .. ':ticks', unpack(times)) end
if #never > 0 then redis.call('ZREM', TAG .. ':ticks', unpack(never)) end
local ran = {}
for i, call in ipairs(calls) do
  if not results[i] then
    results[i] = run(call)
    ran[#ran + 1] = call.address
  end
end
write_firing()
for _, address in ipairs(ran) do trim_ledger(address, keep) end
return results

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
--   event, range}: the state of the backfill that this is a step of, and where one begins its range, as `refuse_backfill` has it
-- Returns per schedule {'done', outcome per fire…} with outcome {'fired', job, ms late}, {'known', job} (that nominal time has its
--   job already), {'replayed', job, name} or {'skipped', reason}; or {'stale'} (another scheduler was first, the plan changed, or
--   the backfill went on), {'early', ms until it is due}, {'closed'} (not declared, or not open yet); a backfill that
--   begins also {'forgotten', ms} or {'running', id}.
-- A scheduler that dies before this leaves the tick due for the next one; after it, nothing is left to do.
-- A thousand schedules may be due at once and wait for each other here, so everything that can be is text made by the caller.
local keep, on_time, now = tonumber(ARGV[2]), tonumber(ARGV[3]), now_ms()
local any_paused = redis.call('EXISTS', TAG .. ':schedule-pauses') == 1
local CANCELLED_BY = '{"who":"millrace","why":"the next tick of its schedule came"}'
local NOTHING_RARE = {}

-- What every tick comes by is local, because a global name is looked up at each use; and the arguments are read where they lie.
local call, argv, some = redis.call, ARGV, unpack
local FIRST, CALL_LENGTH, FIRE_LENGTH = 4, 7, 8

-- Ledgers that got rows here. What fires as it was planned, which is nearly all, leaves its row to be filed: `fresh` has address and row in turns.
local grown, fresh = {}, {}

local function refusal(address, seen, due, rare, stored, is_open)
  if not is_open then return { 'closed' } end
  if seen ~= '' then
    if seen ~= stored then return { 'stale' } end
    local early = tonumber(due) - now
    if early > 0 then return { 'early', early } end
  end
  local advance = rare.advance
  if advance and (call('HGET', TAG .. ':backfills', advance.id) or '') ~= advance.from then return { 'stale' } end
  return advance and advance.range and refuse_backfill(address, advance.range) or nil
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
local function why_not(address, rare)
  if rare.paused or any_paused and call('HEXISTS', TAG .. ':schedule-pauses', address) == 1 then return 'paused' end
  if rare.overlap == 'skip' then return #runs_of(address) > 0 and 'overlap' or nil end
  if rare.overlap ~= 'queue' or call('HLEN', active_key(address)) <= rare.maxWaiting then return nil end
  return #runs_of(address) > rare.maxWaiting and 'overlap' or nil
end

local function skip(address, ns, queue, name, at_ms, row, reason)
  record(address, name, at_ms, row .. ',"state":"skipped","reason":"' .. reason .. '"}')
  grown[address] = true
  local data = { count = 1, reason = reason, from = name, to = name }
  append('schedule', 'schedule.skipped', ns, queue, queue, cjson.encode(data))
  return { 'skipped', reason }
end

-- Those that fire together were to fire together, and numbers take longer to write than to compare.
local due_text, late_ms, late_text, late_state
local FIRED_AT = '","firedAtMs":' .. whole(now) .. '}'
local function be_late(fire_ms)
  if fire_ms == due_text then return end
  due_text, late_ms = fire_ms, fire_ms == '' and 0 or math.max(0, now - tonumber(fire_ms))
  late_text = ',"lateMs":' .. whole(late_ms)
  late_state = (late_ms > on_time and ',"state":"late"' or ',"state":"fired"') .. late_text .. ',"jobId":"'
end

-- What fires and is not written yet: of each its address, namespace, queue, the place of its arguments, its reply with the
-- place in it, and whether its row may be filed later. The facts of one namespace stand in one entry of the log: an entry for each would be a
-- quarter of what a tick costs. Their queues differ, so the entry names none, and each fact names its own.
local firing, n_firing = {}, 0
local EACH = 7

local function write_one(nth, position)
  local address, _, _, at, reply, place, is_plain = some(firing, nth + 1, nth + EACH)
  local name, at_ms, fire_ms, row, _, _, data, meta = some(argv, at, at + FIRE_LENGTH - 1)
  be_late(fire_ms)
  make_ready(address, 'normal', position, '', 0, 0, meta, data)
  local job = job_id(position)
  call('HINCRBY', counts_key(address), 'accepted', 1)
  if is_plain then
    fresh[#fresh + 1] = address
    fresh[#fresh + 1] = name .. ' ' .. job .. ' ' .. at_ms .. ' ' .. row .. late_state .. job .. FIRED_AT
  else
    grown[address] = true
    call('HSET', active_key(address), job, name)
    call('HSET', rows_key(address), name, row .. late_state .. job .. FIRED_AT)
  end
  reply[place] = { 'fired', job, late_ms }
end

local function write_firing()
  local schedules, jobs, last_ns, last_type, written = nil, nil, nil, nil, 0
  local function on_jobs(position, n)
    local ms, seq = split_position(position)
    for i = 0, n - 1 do
      write_one(written, ms .. '-' .. whole(seq + i))
      written = written + EACH
    end
  end
  local function flush()
    if not schedules then return end
    schedules.flush()
    jobs.flush()
  end
  for nth = 0, n_firing - EACH, EACH do
    local _, ns, queue, at = some(firing, nth + 1, nth + 4)
    local _, _, fire_ms, _, type, event, data, meta = some(argv, at, at + FIRE_LENGTH - 1)
    if ns ~= last_ns or type ~= last_type then
      flush()
      schedules, jobs = facts_of('schedule', type, ns, ''), facts_of('job', 'job.enqueued', ns, '', on_jobs)
      last_ns, last_type = ns, type
    end
    be_late(fire_ms)
    schedules.add(queue, event .. late_text .. '}')
    jobs.add(queue, '{"lane":"normal","meta":' .. meta .. ',"data":' .. data .. '}')
  end
  flush()
  if #fresh > 0 then call('HSET', fresh_key(), some(fresh)) end
  firing, n_firing, fresh = {}, 0, {}
end

-- Whether a planned time is behind all that its ledger may have got in other ways.
local highs = {}
local function is_ahead(address, at_ms)
  local high = highs[address] or call('HGET', HIGH, address)
  if not high then
    high = call('ZREVRANGE', ledger_key(address), 0, 0, 'WITHSCORES')[2] or '0'
    call('HSET', HIGH, address, high)
  end
  return tonumber(high) < tonumber(at_ms)
end

-- Schedules whose row of this call is to be filed later.
local fired_plainly = {}
-- The reply of a firing; nil where `write_firing` puts it in.
local function fire(address, ns, queue, at, is_planned, is_plain, rare, reply, place)
  local name, at_ms, fire_ms, row = some(argv, at, at + 3)
  local once = rare.once and TAG .. ':idem:' .. address .. ':' .. rare.once.key
  local before = once and call('GET', once)
  if before then return { 'replayed', string.match(before, '^(%S+) (.*)$') } end
  local is_new
  if is_plain then
    is_new = is_ahead(address, at_ms) or call('HEXISTS', rows_key(address), name) == 0
    fired_plainly[address] = true
  else
    highs[address] = nil
    note_high(address, at_ms)
    if fired_plainly[address] then
      write_firing()
      file_fresh(address)
    end
    is_new = call('ZADD', ledger_key(address), at_ms, name) == 1
  end
  if not is_new then
    write_firing()
    local known = read_row(address, name)
    if known and known.jobId then return { 'known', known.jobId } end
  end
  local reason = is_planned and why_not(address, rare)
  if reason then return skip(address, ns, queue, name, at_ms, row, reason) end
  if rare.overlap == 'cancel' and is_planned then
    for _, job in ipairs(runs_of(address)) do cancel_anywhere(job, CANCELLED_BY) end
  end
  local n = n_firing
  firing[n + 1], firing[n + 2], firing[n + 3], firing[n + 4] = address, ns, queue, at
  firing[n + 5], firing[n + 6], firing[n + 7] = reply, place, is_plain
  n_firing = n + EACH
  if rare ~= NOTHING_RARE then
    -- What is rare may look at what is written.
    write_firing()
    if once then call('SET', once, reply[place][2] .. ' ' .. name, 'PX', rare.once.windowMs) end
  end
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

local function run(address, at, rare)
  if rare ~= NOTHING_RARE then write_firing() end
  local ns, queue = split_address(address)
  if rare.rows then
    for _, each in ipairs(rare.rows) do record(address, each.name, whole(each.atMs), each.row) end
    grown[address] = true
  end
  if rare.events then
    for _, event in ipairs(rare.events) do append('schedule', event.type, ns, queue, queue, event.data) end
  end
  local reply = { 'done' }
  local is_planned, n = argv[at + 1] ~= '', tonumber(argv[at + 6])
  local is_plain = is_planned and rare == NOTHING_RARE and n == 1
  for i = 1, n do
    local known = fire(address, ns, queue, at + CALL_LENGTH + (i - 1) * FIRE_LENGTH, is_planned, is_plain, rare, reply, i + 1)
    if known then reply[i + 1] = known end
  end
  if rare.advance then advance_backfill(address, rare.advance) end
  return reply
end

local starts, addresses, results, rares = {}, {}, {}, {}
local at, arguments = FIRST, #argv
while at < arguments do
  local i = #starts + 1
  starts[i], addresses[i] = at, argv[at]
  local rare = argv[at + 5]
  rares[i] = rare == '' and NOTHING_RARE or cjson.decode(rare)
  at = at + CALL_LENGTH + tonumber(argv[at + 6]) * FIRE_LENGTH
end
-- One command for what is the same for all.
local stored = call('HMGET', TAG .. ':schedules', some(addresses))
local limits = call('HMGET', TAG .. ':limits', some(addresses))
local idle = call('SMISMEMBER', TAG .. ':idle', some(addresses))
local open = call('SMISMEMBER', TAG .. ':queues', some(addresses))
-- Rows that nobody has filed yet: of the last tick, because its scheduler died, or of this one, because another scheduler has fired it.
local unfiled = call('HMGET', fresh_key(), some(addresses))
for i, high in ipairs(call('HMGET', HIGH, some(addresses))) do highs[addresses[i]] = high or nil end
local moved, plans, times, never = {}, {}, {}, {}
for i, address in ipairs(addresses) do
  local _, seen, due, next_plan, next_due = some(argv, starts[i], starts[i] + 4)
  known_limits[address] = limits[i] and cjson.decode(limits[i]) or false
  woken[address] = idle[i] == 0
  local refused = refusal(address, seen, due, rares[i], not moved[address] and stored[i], open[i] == 1)
  results[i] = refused or false
  if unfiled[i] and not refused then file_row(address, unfiled[i]) end
  if not refused and seen ~= '' then
    moved[address] = true
    plans[#plans + 1], plans[#plans + 2] = address, next_plan
    if next_due == '' then
      never[#never + 1] = address
    else
      times[#times + 1], times[#times + 2] = next_due, address
    end
  end
end
if #plans > 0 then call('HSET', TAG .. ':schedules', some(plans)) end
if #times > 0 then call('ZADD', TAG .. ':ticks', some(times)) end
if #never > 0 then call('ZREM', TAG .. ':ticks', some(never)) end
for i, address in ipairs(addresses) do
  if not results[i] then results[i] = run(address, starts[i], rares[i]) end
end
write_firing()
for address in pairs(grown) do trim_ledger(address, keep) end
return results

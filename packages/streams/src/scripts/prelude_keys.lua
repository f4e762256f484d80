-- What jobs hold besides their place: a slot of their key, a unique key. Behind prelude.lua in the library.
--
-- A queue with a per-key limit holds its jobs in one stream per key. `ring` lists the keys that may be served, by turn: a
-- claim takes the key whose turn is next, starts its oldest job, and puts the key at the end of the ring if
-- it has more and is below its limit. So one key's ten thousand jobs delay another key's one by one job each.

-- Limits of a queue as its manifest has them, nil when it has none: {keyConcurrency, onDead, rate, keyRate}.
local function limits_of(address)
  if known_limits[address] == nil then
    local text = redis.call('HGET', TAG .. ':limits', address)
    known_limits[address] = text and cjson.decode(text) or false
  end
  return known_limits[address]
end

-- A token bucket kept as one number, the time at which it will be full (GCRA): tokens = burst − (full − now) / interval.
local function bucket(rate, key, now)
  local interval = rate.periodMs / rate.limit
  local full = math.max(tonumber(redis.call('GET', key) or 0), now)
  local tokens = math.floor((now + rate.burst * interval - full) / interval + 1e-9)
  local function spend(n)
    if n == 0 then return end
    local next_full = full + n * interval
    redis.call('SET', key, string.format('%.3f', next_full), 'PX', math.ceil(next_full - now) + 1000)
  end
  return { tokens = tokens, spend = spend, wait = math.max(1, math.ceil(full + interval - rate.burst * interval - now)) }
end
-- How long until a token bucket (see `bucket`) has a token; 0 when it has one.
local function wait_for_token(rate, key, now)
  local interval = rate.periodMs / rate.limit
  local full = math.max(tonumber(redis.call('GET', key) or 0), now)
  return math.max(0, math.ceil(full + interval - rate.burst * interval - now - 1e-9))
end

local function runs_key(address) return TAG .. ':keyrun:' .. address end
local function slots_key(address) return TAG .. ':slots:' .. address end
local function ring_key(address) return TAG .. ':ring:' .. address end

-- Give a key its turn, if it has a job waiting, is below its limit, is not paused and has none already.
local function enter_ring(address, key, limits)
  if redis.call('XLEN', held_key(address, key)) == 0 then return end
  if key ~= '' and tonumber(redis.call('HGET', runs_key(address), key) or 0) >= limits.keyConcurrency then return end
  if redis.call('HEXISTS', TAG .. ':paused', address .. '\n' .. key) == 1 then return end
  local turn = redis.call('HINCRBY', counts_key(address), 'turn', 1)
  if redis.call('ZADD', ring_key(address), 'NX', turn, key) == 1 then wake_if_idle(address) end
end

-- Hold a job behind the others of its key. Its entry id is a fresh position, or the line's own where that is ahead of it.
local function hold_job(address, lane, position, job, attempt, epoch, meta, data, key, limits)
  local line = held_key(address, key)
  local id = redis.pcall('XADD', line, position, 'job', job, 'attempt', attempt, 'epoch', epoch, 'meta', meta, 'data', data)
  if type(id) == 'table' then
    if job == '' then job = job_id(position) end
    id = redis.call('XADD', line, '*', 'job', job, 'attempt', attempt, 'epoch', epoch, 'meta', meta, 'data', data)
  end
  redis.call('HSET', TAG .. ':places', job == '' and job_id(id) or job, 'held ' .. address .. ' ' .. lane .. ' ' .. id .. ' ' .. key)
  redis.call('SADD', TAG .. ':lines:' .. address, key)
  count(address, 'held', 1)
  enter_ring(address, key, limits)
end

-- Who has a slot is written down job by job, and not worked out from the limits: those may have changed since it was taken.
-- Nobody has one in a queue without a per-key limit, and there this costs nothing.
local function has_slot(address, job) return job ~= '' and redis.call('HEXISTS', slots_key(address), job) == 1 end

-- False when all slots of the key are taken. A job that has its slot keeps it.
local function take_slot(address, job, key, limits)
  if has_slot(address, job) then return true end
  if tonumber(redis.call('HGET', runs_key(address), key) or 0) >= limits.keyConcurrency then return false end
  redis.call('HSET', slots_key(address), job, key)
  redis.call('HINCRBY', runs_key(address), key, 1)
  return true
end

local function free_slot(address, job)
  local limits = limits_of(address)
  if not limits or not limits.keyConcurrency then return end
  local key = redis.call('HGET', slots_key(address), job)
  if not key then return end
  redis.call('HDEL', slots_key(address), job)
  if redis.call('HINCRBY', runs_key(address), key, -1) <= 0 then redis.call('HDEL', runs_key(address), key) end
  enter_ring(address, key, limits)
end

-- Make a job ready: in its lane, or behind its key where the queue limits keys and the job has no slot.
local function make_ready(address, lane, position, job, attempt, epoch, meta, data)
  local limits = limits_of(address)
  if limits and limits.keyConcurrency and not has_slot(address, job) then
    hold_job(address, lane, position, job, attempt, epoch, meta, data, decode_meta(meta).key or '', limits)
  else
    add_ready(address, lane, position, job, attempt, epoch, meta, data)
    wake_if_idle(address)
  end
end

-- In a queue that serves each key in order, a job that waits for its retry keeps its key's only slot.
local function keeps_slot(limits) return limits and limits.keyConcurrency == 1 end

local function unique_key(address, key) return TAG .. ':unique:' .. address .. ':' .. key end

-- Free a unique key, only for the job that has it.
local function release_unique(address, job, unique)
  if not unique then return end
  local key = unique_key(address, unique.key)
  if redis.call('GET', key) == job then redis.call('DEL', key) end
end

-- A job has come to its end: whatever it still held is free, but for the slot of a dead letter that blocks its key.
local function release_all(address, job, meta, blocks)
  redis.call('HDEL', TAG .. ':places', job)
  redis.call('HDEL', TAG .. ':cancelling', job)
  local decoded = decode_meta(meta)
  -- Whoever ends a run in another way has said so before.
  if decoded.tick then end_run(address, job, decoded.tick, 'succeeded') end
  -- A throttle lasts for its period, whatever becomes of the job.
  if decoded.unique and decoded.unique.mode ~= 'throttle' then release_unique(address, job, decoded.unique) end
  if decoded.key and not blocks then free_slot(address, job) end
end

-- Take an entry out of the line behind its key.
local function drop_held(address, key, entry_id)
  redis.call('XDEL', held_key(address, key), entry_id)
  count(address, 'held', -1)
  if redis.call('XLEN', held_key(address, key)) == 0 then
    redis.call('DEL', held_key(address, key))
    redis.call('ZREM', ring_key(address), key)
    redis.call('SREM', TAG .. ':lines:' .. address, key)
  end
end

-- Whether a dead letter of the queue keeps the slot of its key.
local function blocks_key(address)
  local limits = limits_of(address)
  return keeps_slot(limits) and limits.onDead == 'block'
end

-- Bury a job: the dead letter, its index entry and the event. `last` is JSON of the last response.
local function bury(address, lane, job, entry, reason, last)
  local ns, queue = split_address(address)
  local id = redis.call('XADD', dead_key(address), '*', 'job', job, 'lane', lane, 'attempt', entry.attempt,
    'epoch', entry.epoch, 'meta', entry.meta, 'reason', reason, 'last', last, 'data', entry.data)
  redis.call('HSET', TAG .. ':dead-index', job, address .. ' ' .. id)
  count(address, 'dead', 1)
  append('job', 'job.dead_lettered', ns, queue, job, '{"attempts":' .. entry.attempt .. ',"reason":' .. cjson.encode(reason) .. '}')
  end_run_of(address, job, entry.meta, 'dead')
  release_all(address, job, entry.meta, blocks_key(address))
end

-- The entry of a job among the dead letters of a queue, as {entry id, fields}; nil when it is none (any more).
local function find_letter(address, job)
  local at, entry_id = string.match(redis.call('HGET', TAG .. ':dead-index', job) or '', '^(%S+) (%S+)$')
  if at ~= address then return nil end
  return redis.call('XRANGE', dead_key(address), entry_id, entry_id)[1]
end

local function drop_letter(address, job, entry_id)
  redis.call('XDEL', dead_key(address), entry_id)
  redis.call('HDEL', TAG .. ':dead-index', job)
end

-- Put a dead letter back into its queue. The job keeps its id, its attempts start again; the slot too, if it blocked its key.
local function redrive_letter(address, letter, by)
  local fields = letter[2]
  local job, lane, epoch, meta, data = fields[2], fields[4], fields[8], fields[10], fields[16]
  local ns, queue = split_address(address)
  local position = append('job', 'job.redriven', ns, queue, job, by)
  make_ready(address, lane, position, job, 0, epoch, meta, data)
  resume_run(address, job, meta)
  drop_letter(address, job, letter[1])
  count(address, 'dead', -1)
  return job
end

local function cancel_job(address, job, meta, by)
  local ns, queue = split_address(address)
  count(address, 'cancelled', 1)
  append('job', 'job.cancelled', ns, queue, job, by)
  end_run_of(address, job, meta, 'cancelled')
  release_all(address, job, meta)
end

-- The address of the queue that the fact at a position of the log is about; nil when it was trimmed.
local function logged_address(position)
  local ms, seq = split_position(position)
  local entry = redis.call('XREVRANGE', LOG, position, ms .. '-0', 'COUNT', 1)[1]
  if not entry then return nil end
  local fields, nth = values_of(entry[2]), seq - select(2, split_position(entry[1]))
  if SHARED_FIELDS + nth * FIELDS_PER_FACT >= #fields then return nil end
  return fields[3] .. '/' .. (fields[4] == '' and fields[SHARED_FIELDS + nth * FIELDS_PER_FACT + 1] or fields[4])
end

-- Where a job is: {'scheduled' or 'dead', address, lane}, {'held', address, lane, id of its entry, key}, {'waiting', address, lane, how many are
-- before it in the lane, its element}, {'running', address, lane, its element, who has it}; nil when it is at its end or never was.
-- The address of a job that was never moved is in its `job.enqueued` entry; where that was trimmed, the lanes are asked.
local function locate(job)
  local parked = unpark(job)
  if parked then return { 'scheduled', parked.address, parked.lane } end
  local dead = redis.call('HGET', TAG .. ':dead-index', job)
  if dead then return { 'dead', string.match(dead, '^(%S+)') } end
  local digits = digits_of(job)
  local function in_lane(address, lane, place)
    local before, element = find_ready(address, lane, place)
    if before and named(parse_element(element)) == job then return { 'waiting', address, lane, before, element } end
    local held, holder = find_in_hand(address, lane, digits)
    return held and { 'running', address, lane, held, holder } or nil
  end
  local place = redis.call('HGET', TAG .. ':places', job)
  if place then
    local kind, address, lane, at, key = string.match(place, '^(%S+) (%S+) (%S+) (%S+) ?(.*)$')
    if kind == 'held' then return { 'held', address, lane, at, key } end
    return in_lane(address, lane, at)
  end
  local logged = logged_address(job_position(job))
  local addresses = logged and { logged } or redis.call('SMEMBERS', TAG .. ':queues')
  for _, address in ipairs(addresses) do
    for _, lane in ipairs(LANES) do
      local found = in_lane(address, lane, digits)
      if found then return found end
    end
  end
  return nil
end

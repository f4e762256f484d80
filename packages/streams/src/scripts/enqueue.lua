-- Accept 1..n jobs: idempotency and unique checks, into the lane, behind their key, or parked until due;
-- `job.enqueued`, wake-up of an idle queue.
-- KEYS[1] log
-- ARGV[2] idempotency window ms  ARGV[3] 'atomic' = all or, when one conflicts, none; else ''
-- then 9 per job: address `ns/queue`, lane, due (ms, `+ms` from now, or '' = at once), idempotency key ('' = none),
--   fingerprint of the body, unique JSON ('' = none), meta JSON ('' = none), data JSON, extra JSON members for the event
-- Returns per job {'enqueued', id}, {'replayed', id}, {'conflict', id}, {'duplicate', id} (the unique key is taken),
--   {'debounced', id} (the waiting job has the new payload now) or, in an atomic batch with a conflict, {'refused', ''};
--   {'closed', ''} when the queue was drained and closed.
-- A crash between two jobs of a batch cannot happen inside the script; a Redis that dies before answering has either
-- all of the batch on disk or none of it, and the producer's retry with its idempotency key finds out which.
local window, atomic = ARGV[2], ARGV[3] == 'atomic'
local PER_JOB = 9
local results = {}
local accepted = {}

local function idem_key(address, key) return TAG .. ':idem:' .. address .. ':' .. key end

local function known_by_key(address, key, fingerprint)
  local known = key ~= '' and redis.call('GET', idem_key(address, key))
  if not known then return nil end
  local space = string.find(known, ' ', 1, true)
  local word = string.sub(known, space + 1) == fingerprint and 'replayed' or 'conflict'
  return { word, string.sub(known, 1, space - 1) }
end

-- The waiting job of a debounce gets the new payload, and waits again, but never past its longest wait.
local function debounce(address, job, unique, meta, data)
  local parked = unpark(job)
  local ns, queue = split_address(address)
  local due = math.min(now_ms() + unique.periodMs, job_ms(job) + (unique.maxWaitMs or 1e15))
  local body = { address = address, lane = parked.lane, attempt = 0, epoch = parked.epoch, meta = meta }
  redis.call('HSET', TAG .. ':parked', job, pack_body(body, data))
  set_due(job, whole(due))
  append('job', 'job.updated', ns, queue, job, '{"dueAtMs":' .. whole(due) .. ',"data":' .. data .. '}')
  return { 'debounced', job }
end

-- nil when the unique key is free (and then it is the new job's, once that has an id).
local function taken_unique(address, unique, meta, data)
  local owner = redis.call('GET', unique_key(address, unique.key))
  if not owner then return nil end
  if unique.mode == 'throttle' then return { 'duplicate', owner } end
  -- A key whose owner is gone would block for ever; no path leaves one, and if one did it ends here.
  local place = locate(owner)
  if not place or place[1] == 'dead' then return nil end
  if unique.mode == 'debounce' and place[1] == 'scheduled' then return debounce(address, owner, unique, meta, data) end
  return { 'duplicate', owner }
end

local function enqueue(address, lane, due, key, fingerprint, unique_text, meta, data, extra)
  local known = known_by_key(address, key, fingerprint)
  if known then return known end
  if is_closed(address) then return { 'closed', '' } end
  local unique = unique_text ~= '' and cjson.decode(unique_text)
  local taken = unique and taken_unique(address, unique, meta, data)
  if taken then return taken end
  if unique and unique.mode == 'debounce' then due = '+' .. whole(unique.periodMs) end

  local ns, queue = split_address(address)
  due = due_time(due)
  local event = '{"lane":"' .. lane .. '"' .. (due ~= '' and ',"dueAtMs":' .. due or '') .. extra .. ',"data":' .. data .. '}'
  -- The entity of `job.enqueued` is left empty: the entry's own position is the job's id.
  local position = append('job', 'job.enqueued', ns, queue, '', event)
  local job = job_id(position)
  if due ~= '' then
    park(address, lane, due, job, 0, 0, meta, data)
  else
    make_ready(address, lane, position, '', 0, 0, meta, data)
  end
  accepted[address] = (accepted[address] or 0) + 1
  if key ~= '' then redis.call('SET', idem_key(address, key), job .. ' ' .. fingerprint, 'PX', window) end
  if unique and unique.mode == 'throttle' then
    redis.call('SET', unique_key(address, unique.key), job, 'PX', whole(unique.periodMs))
  elseif unique then
    redis.call('SET', unique_key(address, unique.key), job)
  end
  return { 'enqueued', job }
end

local function conflicts()
  local seen = {}
  for i = 4, #ARGV, PER_JOB do
    local address, key, fingerprint = ARGV[i], ARGV[i + 3], ARGV[i + 4]
    local known = known_by_key(address, key, fingerprint)
    if is_closed(address) or known and known[1] == 'conflict' then return true end
    local twin = key ~= '' and seen[address .. '\n' .. key]
    if twin and twin ~= fingerprint then return true end
    if key ~= '' then seen[address .. '\n' .. key] = fingerprint end
  end
  return false
end

-- What each job of a batch that cannot be accepted whole is told.
local function refusal(address, key, fingerprint)
  if is_closed(address) then return { 'closed', '' } end
  local known = known_by_key(address, key, fingerprint)
  return known and known[1] == 'conflict' and known or { 'refused', '' }
end

local refused = atomic and conflicts()
for i = 4, #ARGV, PER_JOB do
  if refused then
    results[#results + 1] = refusal(ARGV[i], ARGV[i + 3], ARGV[i + 4])
  else
    results[#results + 1] = enqueue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8])
  end
end
for address, n in pairs(accepted) do count(address, 'accepted', n) end
return results

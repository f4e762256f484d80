-- Accept 1..n jobs: idempotency and unique checks, into the lane, behind their key, or parked until due;
-- `job.enqueued`, wake-up of an idle queue.
-- KEYS[1] log
-- ARGV[2] idempotency window ms  ARGV[3] 'atomic' = all or, when one conflicts, none; else ''
-- then blocks:
--   `plain`, address, lane, n, n × data JSON: jobs with a payload and nothing else, in one step for all of them
--   `one`, 9 of a job: address `ns/queue`, lane, due (ms, `+ms` from now, or '' = at once), idempotency key ('' = none),
--   fingerprint of the body, unique JSON ('' = none), meta JSON ('' = none), data JSON, extra JSON members for the event
-- Returns in the order given {'run', position, n} for n jobs that were accepted side by side (each one's position is one
--   sequence number behind the one before, and makes its id), or per job {'enqueued', id}, {'replayed', id}, {'conflict', id}, {'duplicate', id} (the unique key is taken),
--   {'debounced', id} (the waiting job has the new payload now) or, in an atomic batch with a conflict, {'refused', ''};
--   {'closed', ''} when the queue was drained and closed; {'draining', JSON of by whom} while somebody has it drained.
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
  local name = unique_key(address, unique.key)
  local owner = redis.call('GET', name)
  if not owner then return nil end
  -- Only the key of a throttle ends by itself, and it lasts whatever became of its job, against every mode.
  if unique.mode == 'throttle' or redis.call('PTTL', name) > 0 then return { 'duplicate', owner } end
  -- A key whose owner is gone would block for ever; no path leaves one, and if one did it ends here.
  local place = locate(owner)
  if not place or place[1] == 'dead' then return nil end
  -- A debounce replaces what a debounce put there: a job of another mode may wait for its retry, or for a time of its own.
  if unique.mode == 'debounce' and place[1] == 'scheduled' then
    local waiting = decode_meta(unpark(owner).meta).unique
    if waiting and waiting.mode == 'debounce' then return debounce(address, owner, unique, meta, data) end
  end
  return { 'duplicate', owner }
end

local function enqueue(address, lane, due, key, fingerprint, unique_text, meta, data, extra)
  local known = known_by_key(address, key, fingerprint)
  if known then return known end
  if refusal_of(address) then return refusal_of(address) end
  local unique = unique_text ~= '' and cjson.decode(unique_text)
  local taken = unique and taken_unique(address, unique, meta, data)
  if taken then return taken end
  if unique and unique.mode == 'debounce' then due = '+' .. whole(unique.periodMs) end

  local ns, queue = split_address(address)
  due = due_time(due)
  -- `job.enqueued` names no job: its own position is the job's id.
  local entity, event = lane, data
  if due ~= '' or extra ~= '' then
    entity = ''
    event = '{"lane":"' .. lane .. '"' .. (due ~= '' and ',"dueAtMs":' .. due or '') .. extra .. ',"data":' .. data .. '}'
  end
  local position = append('job', 'job.enqueued', ns, queue, entity, event)
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

local HEX = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f' }

-- Jobs with nothing to look up: their facts stand together in the log, and each goes straight into the lane.
local function enqueue_plain(address, lane, from, n)
  local limits = limits_of(address)
  if refusal_of(address) or limits and limits.keyConcurrency then
    for i = from, from + n - 1 do results[#results + 1] = enqueue(address, lane, '', '', '', '', '', ARGV[i], '') end
    return
  end
  local ns, queue = split_address(address)
  local key, next_job = lane_key(address, lane), from
  local facts = facts_of('job', 'job.enqueued', ns, queue, function(position, jobs)
    local ms, seq = split_position(position)
    local elements, begins = {}, nil
    for i = 0, jobs - 1 do
      -- Writing a number as text was a twentieth of all that a job costs here: only every sixteenth is written.
      local last = (seq + i) % 16
      if last == 0 or not begins then begins = string.sub(digits_at(tonumber(ms), seq + i), 1, -2) end
      local digits, data = begins .. HEX[last], ARGV[next_job + i]
      elements[i + 1] = digits .. (#data > LARGE and put_payload(address, lane, digits, data) or data)
    end
    redis.call('RPUSH', key, unpack(elements))
    next_job = next_job + jobs
    results[#results + 1] = { 'run', position, jobs }
  end)
  for i = from, from + n - 1 do facts.add(lane, ARGV[i]) end
  facts.flush()
  wake_if_idle(address)
  accepted[address] = (accepted[address] or 0) + n
end

-- Walk the blocks of the call.
local function each_block(on_plain, on_one)
  local i = 4
  while i <= #ARGV do
    if ARGV[i] == 'plain' then
      local n = tonumber(ARGV[i + 3])
      on_plain(ARGV[i + 1], ARGV[i + 2], i + 4, n)
      i = i + 4 + n
    else
      on_one(i + 1)
      i = i + 1 + PER_JOB
    end
  end
end

local function conflicts()
  local seen, found = {}, false
  each_block(function(address) found = found or refusal_of(address) end, function(i)
    local address, key, fingerprint = ARGV[i], ARGV[i + 3], ARGV[i + 4]
    local known = known_by_key(address, key, fingerprint)
    if refusal_of(address) or known and known[1] == 'conflict' then found = true end
    local twin = key ~= '' and seen[address .. '\n' .. key]
    if twin and twin ~= fingerprint then found = true end
    if key ~= '' then seen[address .. '\n' .. key] = fingerprint end
  end)
  return found
end

-- What each job of a batch that cannot be accepted whole is told.
local function refusal(address, key, fingerprint)
  if refusal_of(address) then return refusal_of(address) end
  local known = known_by_key(address, key, fingerprint)
  return known and known[1] == 'conflict' and known or { 'refused', '' }
end

if atomic and conflicts() then
  each_block(function(address, _, _, n)
    for _ = 1, n do results[#results + 1] = refusal(address, '', '') end
  end, function(i) results[#results + 1] = refusal(ARGV[i], ARGV[i + 3], ARGV[i + 4]) end)
  return results
end
each_block(enqueue_plain, function(i)
  results[#results + 1] = enqueue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8])
end)
for address, n in pairs(accepted) do count(address, 'accepted', n) end
return results

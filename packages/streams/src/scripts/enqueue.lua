-- Accept 1..n jobs: idempotency check, into the lane or parked until due, `job.enqueued`, wake-up of an idle queue.
-- KEYS[1] log
-- ARGV[2] idempotency window ms, then 8 per job: address `ns/queue`, lane, due (ms, `+ms` from now, or '' = at once), idempotency key ('' = none),
--   fingerprint of the body, meta JSON ('' = none), data JSON, extra JSON members for the event ('' = none)
-- Returns per job {'enqueued', id}, {'replayed', id}, {'conflict', id} or {'closed', ''}.
-- A crash between two jobs of a batch cannot happen inside the script; a Redis that dies before answering has either
-- all of the batch on disk or none of it, and the producer's retry with its idempotency key finds out which.
local window = ARGV[2]
local results = {}

local function enqueue(address, lane, due, key, fingerprint, meta, data, extra)
  local idem_key = TAG .. ':idem:' .. address .. ':' .. key
  if key ~= '' then
    local known = redis.call('GET', idem_key)
    if known then
      local space = string.find(known, ' ', 1, true)
      local word = string.sub(known, space + 1) == fingerprint and 'replayed' or 'conflict'
      return { word, string.sub(known, 1, space - 1) }
    end
  end
  if is_closed(address) then return { 'closed', '' } end
  local ns, queue = split_address(address)
  due = due_time(due)
  local event = '{"lane":"' .. lane .. '"' .. (due ~= '' and ',"dueAtMs":' .. due or '') .. extra .. ',"data":' .. data .. '}'
  -- The entity of `job.enqueued` is left empty: the entry's own position is the job's id.
  local position = append('job', 'job.enqueued', ns, queue, '', event)
  local job = job_id(position)
  if due ~= '' then
    park(address, lane, due, job, 0, 0, meta, data)
  else
    add_ready(address, lane, position, '', 0, 0, meta, data)
    wake_if_idle(address)
  end
  count(address, 'accepted', 1)
  if key ~= '' then redis.call('SET', idem_key, job .. ' ' .. fingerprint, 'PX', window) end
  return { 'enqueued', job }
end

for i = 3, #ARGV, 8 do
  results[#results + 1] = enqueue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7])
end
return results

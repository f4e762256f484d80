-- Move what is due into its queue, oldest first: jobs, keys that waited for their rate limit, jobs whose worker fell silent.
-- KEYS[1] log   ARGV[2] how many at most
-- Returns {moved, ms until the next one is due (-1 = none), what could not be moved, each with why}.
-- One script moves a job whole: it is parked or ready, never both, never neither. What cannot be moved is put off: it is not lost,
-- and does not stand in the way of all that is behind it.
local PUT_OFF_MS = 60000
local now = now_ms()
local moved = 0

local function move_key(member)
  local newline = string.find(member, '\n', 1, true)
  local address = string.sub(member, 5, newline - 1)
  local limits = limits_of(address)
  if limits and limits.keyConcurrency then enter_ring(address, string.sub(member, newline + 1), limits) end
end

local function move_job(job)
  local parked = unpark(job)
  if not parked then return end
  local ns, queue = split_address(parked.address)
  local unique = parked.meta ~= '' and decode_meta(parked.meta).unique
  -- From here on it is a job like any other: the next one of its key starts a new wait.
  if unique and unique.mode == 'debounce' then release_unique(parked.address, job, unique) end
  local position = append('job', 'job.ready', ns, queue, job, '{"lane":"' .. parked.lane .. '"}')
  make_ready(parked.address, parked.lane, position, job, parked.attempt, parked.epoch, parked.meta, parked.data)
  redis.call('HDEL', TAG .. ':parked', job)
  count(parked.address, 'scheduled', -1)
end

-- A worker's lease ended without a word: its job goes to a consumer that is gone, and is taken over from it like any other.
local function expire_lease(job)
  local text = redis.call('HGET', TAG .. ':leased', job)
  if not text then return end
  local leased = cjson.decode(text)
  if pass_on(leased.address, leased.lane, job, LEASED, EXPIRED) then
    redis.call('ZADD', TAG .. ':consumers', 0, EXPIRED)
    redis.call('PUBLISH', TAG .. ':wake', '@left')
  end
  redis.call('HDEL', TAG .. ':leased', job)
end

local function move(member)
  if string.sub(member, 1, 4) == 'key:' then return move_key(member) end
  if string.sub(member, 1, 6) == 'lease:' then return expire_lease(string.sub(member, 7)) end
  move_job(member)
end

local failed = {}

for _, member in ipairs(redis.call('ZRANGEBYSCORE', TAG .. ':due', '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))) do
  local is_moved, problem = pcall(move, member)
  if is_moved then
    redis.call('ZREM', TAG .. ':due', member)
    moved = moved + 1
  else
    set_due(member, whole(now + PUT_OFF_MS))
    failed[#failed + 1] = member .. ': ' .. tostring(type(problem) == 'table' and problem.err or problem)
  end
end

local head = redis.call('ZRANGE', TAG .. ':due', 0, 0, 'WITHSCORES')
return { moved, head[2] and math.max(0, tonumber(head[2]) - now) or -1, failed }

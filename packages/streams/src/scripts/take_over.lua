-- Take over what consumers whose lease has lapsed still hold, costing their jobs no attempt.
-- KEYS[1] log
-- ARGV[2] consumer that takes  ARGV[3] how many at most  ARGV[4] holders a job may take down
-- ARGV[5] address of the queue that the taker pulls, '' = a dispatcher, which takes what is pushed. Who cannot deliver a queue
--   takes nothing of it: its jobs wait for one who can, and a lapsed name is remembered until nothing is pending under it.
-- Returns {address, lane, entry id, job id, attempt, epoch, meta, data, moved, prefetched} per job, to be delivered by the taker,
--   which has it prefetched where its holder had;
--   {address, '', job id, `dead|cancelled`} per job that ended here; an empty list when nothing is left. A job whose holders died that often is dead-lettered as `crash_loop` instead.
-- The taker holds the entries as pending from here on: should it die, they are taken over from it in turn, and the
-- stream's own delivery counter says how many holders each has had.
local taker, budget, max_takeovers, pulls = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if not holds_lease(taker) then return {} end
local taken = {}
local ended = {}

local function take(address, lane, from, entry_id, holders)
  local key = lane_key(address, lane)
  local claimed = redis.call('XCLAIM', key, 'dispatch', taker, 0, entry_id)
  if not claimed[1] then return end
  -- Should it still live and renew its lease, it has to look at each entry before it settles it.
  redis.call('SADD', TAG .. ':robbed', from)
  local entry = parse_entry(claimed[1][2])
  local job = entry.job == '' and job_id(entry_id) or entry.job
  local ns, queue = split_address(address)
  local cancelled_by = redis.call('HGET', TAG .. ':cancelling', job)
  if cancelled_by then
    redis.call('XACK', key, 'dispatch', entry_id)
    redis.call('XDEL', key, entry_id)
    cancel_job(address, job, entry.meta, cancelled_by)
    ended[#ended + 1] = { address, '', job, 'cancelled' }
    return
  end
  -- Epochs rise with each delivery: what the entry carried, its first holder, and one for each takeover since.
  entry.attempt, entry.epoch = entry.attempt + 1, entry.epoch + holders + 1
  append('job', 'job.taken_over', ns, queue, job,
    '{"attempt":' .. entry.attempt .. ',"epoch":' .. entry.epoch .. ',"from":"' .. from .. '","consumer":"' .. taker .. '"}')
  if holders >= max_takeovers then
    redis.call('XACK', key, 'dispatch', entry_id)
    redis.call('XDEL', key, entry_id)
    bury(address, lane, job, entry, 'crash_loop', '{}')
    ended[#ended + 1] = { address, '', job, 'dead' }
    return
  end
  taken[#taken + 1] = { address, lane, entry_id, job, entry.attempt, entry.epoch, entry.meta, entry.data, entry.job == '' and 0 or 1, 0 }
end

-- What the holder had prefetched is the taker's as that: of what was pending under its name, `first` and after it in `taken`, the
-- last ones. So nobody goes beyond the limit by taking over.
local function take_prefetched(address, from, first)
  local noted = tonumber(redis.call('HGET', prefetched_key(address), from) or 0)
  if noted == 0 then return end
  local left = 0
  for _, lane in ipairs(LANES) do left = left + #pending_in(lane_key(address, lane), '-', '+', noted, from) end
  left = math.min(left, noted)
  note_prefetched(address, from, left)
  local moved = math.min(noted - left, #taken - first + 1)
  for i = #taken - moved + 1, #taken do taken[i][10] = 1 end
  if moved > 0 then redis.call('HINCRBY', prefetched_key(address), taker, moved) end
end

local function is_mine(address)
  if pulls ~= '' then return address == pulls end
  local limits = limits_of(address)
  return not (limits and limits.pull)
end

local function is_pending(address, lane, from)
  return pending_in(lane_key(address, lane), '-', '+', 1, from)[1] ~= nil
end

-- False when the budget is spent and there is more.
local function take_lanes(address, from)
  for _, lane in ipairs(LANES) do
    local pending = pending_in(lane_key(address, lane), '-', '+', budget - #taken + 1, from)
    for _, item in ipairs(pending) do
      if #taken >= budget then return false end
      take(address, lane, from, item[1], item[4])
    end
  end
  return true
end

-- Returns 'done', 'rest' when others have to take what is left, or 'spent' when the budget is.
local function take_from(from, addresses)
  local outcome = 'done'
  for _, address in ipairs(addresses) do
    if is_mine(address) then
      local first = #taken + 1
      local all = take_lanes(address, from)
      take_prefetched(address, from, first)
      if not all then return 'spent' end
    else
      for _, lane in ipairs(LANES) do
        if outcome == 'done' and is_pending(address, lane, from) then outcome = 'rest' end
      end
    end
  end
  return outcome
end

local function reply()
  for _, item in ipairs(ended) do taken[#taken + 1] = item end
  return taken
end

-- The name of a pull consumer begins with its queue, `<address>@`: it never holds anything else.
local queues
local function addresses_of(from)
  local own = string.match(from, '^([^@]+)@')
  if own then return redis.call('SISMEMBER', TAG .. ':queues', own) == 1 and { own } or {} end
  queues = queues or redis.call('SMEMBERS', TAG .. ':queues')
  return queues
end

for _, from in ipairs(redis.call('ZRANGEBYSCORE', TAG .. ':consumers', '-inf', now_ms())) do
  if from ~= taker then
    local addresses = addresses_of(from)
    local outcome = take_from(from, addresses)
    if outcome == 'spent' then return reply() end
    if outcome == 'done' then
      -- Nothing is pending under this name any more, so forgetting it loses nothing.
      for _, address in ipairs(addresses) do
        -- A group that somebody destroyed does not know it.
        for _, lane in ipairs(LANES) do redis.pcall('XGROUP', 'DELCONSUMER', lane_key(address, lane), 'dispatch', from) end
      end
      redis.call('ZREM', TAG .. ':consumers', from)
      redis.call('SREM', TAG .. ':robbed', from)
    end
  end
end
return reply()

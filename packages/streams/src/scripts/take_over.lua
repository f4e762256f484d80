-- Take over what consumers whose lease has lapsed still hold, costing their jobs no attempt.
-- KEYS[1] log
-- ARGV[2] consumer that takes  ARGV[3] how many at most  ARGV[4] holders a job may take down
-- ARGV[5] address of the queue that the taker pulls, '' = a dispatcher, which takes what is pushed. Who cannot deliver a queue
--   takes nothing of it: its jobs wait for one who can, and a lapsed name is remembered until nothing is in hand under it.
-- Returns {address, lane, place, job id, attempt, epoch, meta, data, moved, prefetched} per job, to be delivered by the taker,
--   which has it prefetched where its holder had;
--   {address, '', job id, `dead|cancelled`} per job that ended here; an empty list when nothing is left. A job whose holders died that often is dead-lettered as `crash_loop` instead.
-- The taker has the jobs in hand from here on: should it die, they are taken over from it in turn, and what is kept with each
-- says how many holders it has had.
local taker, budget, max_takeovers, pulls = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if not holds_lease(taker) then return {} end
local taken = {}
local ended = {}

local function take(address, item)
  local key, field, digits, lane, from = in_hand_key(address), item[1], item[2], item[3], item[4]
  local entry, job = parse_element(redis.call('HGET', key, field)), job_of(digits)
  local ns, queue = split_address(address)
  local cancelled_by = redis.call('HGET', TAG .. ':cancelling', job)
  if cancelled_by then
    cancel_job(address, job, entry.meta, cancelled_by)
    redis.call('HDEL', key, field)
    forget_payloads(address, lane, { digits })
    ended[#ended + 1] = { address, '', job, 'cancelled' }
    return
  end
  local holders = entry.holders
  if holders < max_takeovers then
    put_in_hand(address, lane, taker, entry, holders + 1)
    redis.call('HDEL', key, field)
  end
  entry.data = payload_of(address, lane, digits, entry.data)
  -- Epochs rise with each delivery: what the entry carried, its first holder, and one for each takeover since.
  entry.attempt, entry.epoch = entry.attempt + 1, entry.epoch + holders + 1
  append('job', 'job.taken_over', ns, queue, job,
    '{"attempt":' .. entry.attempt .. ',"epoch":' .. entry.epoch .. ',"from":"' .. from .. '","consumer":"' .. taker .. '"}')
  if holders >= max_takeovers then
    bury(address, lane, job, entry, 'crash_loop', '{}')
    redis.call('HDEL', key, field)
    forget_payloads(address, lane, { digits })
    ended[#ended + 1] = { address, '', job, 'dead' }
    return
  end
  taken[#taken + 1] = { address, lane, entry.place, job, entry.attempt, entry.epoch, entry.meta, entry.data, entry.job == '' and 0 or 1, 0 }
end

-- What the holder had prefetched is the taker's as that: of what was in hand under its name, `first` and after it in `taken`, the
-- last ones. So nobody goes beyond the limit by taking over. `left`: what is still in hand under that name.
local function take_prefetched(address, from, first, left)
  local noted = tonumber(redis.call('HGET', prefetched_key(address), from) or 0)
  if noted == 0 then return end
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

-- Returns 'done', 'rest' when others have to take what is left, or 'spent' when the budget is.
local function take_from(from, addresses)
  local outcome = 'done'
  for _, address in ipairs(addresses) do
    local items = each_in_hand(address, from)
    if #items > 0 and is_mine(address) then
      local first, next_item = #taken + 1, 1
      -- From the first job on the name is gone for good: should its holder still live, it joins under another.
      redis.call('ZADD', TAG .. ':consumers', 0, from)
      while next_item <= #items and #taken < budget do
        take(address, items[next_item])
        next_item = next_item + 1
      end
      local left = #items - next_item + 1
      take_prefetched(address, from, first, left)
      if left > 0 then return 'spent' end
    elseif #items > 0 then
      outcome = 'rest'
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
      -- Nothing is in hand under this name any more, so forgetting it loses nothing.
      for _, address in ipairs(addresses) do note_prefetched(address, from, 0) end
      redis.call('ZREM', TAG .. ':consumers', from)
    end
  end
end
return reply()

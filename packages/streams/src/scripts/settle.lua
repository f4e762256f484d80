-- Settle a batch of attempts of one queue: acknowledge, then success, retry into `due`, dead letter, cancelled, or handed
-- to the worker under a lease; with events.
-- KEYS[1] log
-- ARGV[2] consumer  ARGV[3] address  ARGV[4] `again` when the answer to the same call was lost, else ''
-- ARGV[5] jobs that the consumer has prefetched now, '' = none, and none when it last said so; then blocks:
--   `done`, lane, n, n × (digits of the job's id, detail JSON object): successes of jobs that hold nothing and were never moved;
--     that is most of what is settled, and it is done for all of them at once
--   `one`, 10 of an attempt: lane, job id, attempt, epoch, outcome `succeeded|retry|postpone|dead|cancelled|leased`,
--     delay ms (retry, postpone) or lease ms (leased), reason (dead) or token (leased), detail JSON object (leased: the retry
--     policy), last response JSON object (all but succeeded and leased), meta JSON where the job holds a key or was moved
-- Returns the numbers of the attempts that came late, counted from 0 in the order given. Late: the consumer left or was taken over, or another one has the job;
--   nothing changes but a `job.late` event, so one attempt has one accepted outcome. A lease that lapsed and that nobody
--   took over may still be renewed, so it may still settle: refused here, the job would stay in hand under a name that
--   lives on, and nobody would have it. Asked `again`, a job that nobody has, or that is the worker's, was settled by
--   the first call.
-- A postponed attempt is a retry that does not count. A job whose cancellation was asked for while it ran is cancelled
--   unless it succeeded.
-- A dispatcher that dies before calling this leaves the job in hand (taken over, delivered again: at least once);
-- one that dies after it lost only the answer.
local consumer, address, again = ARGV[2], ARGV[3], ARGV[4] == 'again'
local PER_ATTEMPT, PER_DONE = 10, 2
local ns, queue = split_address(address)
local lease_end = tonumber(redis.call('ZSCORE', TAG .. ':consumers', consumer) or 0)
local fenced = lease_end == 0
local any_cancelling = redis.call('EXISTS', TAG .. ':cancelling') == 1
local lates = {}
local index = -1

local function late(job, a)
  append('job', 'job.late', ns, queue, job,
    '{"attempt":' .. a.attempt .. ',"epoch":' .. a.epoch .. ',"outcome":"' .. a.outcome .. '","consumer":"' .. consumer .. '"}')
  lates[#lates + 1] = index
end

local succeeded = 0

-- Whether another consumer has the job now.
local function has_other_holder(lane, digits)
  local _, holder = find_in_hand(address, lane, digits)
  return holder and holder ~= LEASED
end

local function settle(lane, job, a)
  if fenced then return late(job, a) end
  local digits = digits_of(job)
  local field = in_hand_field(digits, lane, consumer)
  if redis.call('HEXISTS', in_hand_key(address), field) == 0 then
    -- Somebody took it over while our lease had lapsed, or a server came back without its last writes.
    if not again or has_other_holder(lane, digits) then late(job, a) end
    return
  end
  if a.outcome == 'succeeded' then
    append('job', 'job.succeeded', ns, queue, job, a.detail)
    if a.holds ~= '' or any_cancelling then release_all(address, job, a.holds) end
    redis.call('HDEL', in_hand_key(address), field)
    forget_payloads(address, lane, { digits })
    succeeded = succeeded + 1
    return
  end
  if a.outcome == 'leased' and not (any_cancelling and redis.call('HEXISTS', TAG .. ':cancelling', job) == 1) then
    return lease_to_worker(address, lane, consumer, job, a)
  end
  if a.outcome == 'leased' then
    a.outcome, a.last = 'cancelled', '{}'
    a.detail = '{"attempt":' .. a.attempt .. ',"epoch":' .. a.epoch .. ',"reason":"cancelled"}'
  end
  conclude(address, lane, consumer, job, a, any_cancelling)
end

-- One by one, where each entry has to be looked at.
local function settle_each(lane, from, n)
  for i = from, from + (n - 1) * PER_DONE, PER_DONE do
    index = index + 1
    local detail = cjson.decode(ARGV[i + 1])
    settle(lane, job_of(ARGV[i]), {
      attempt = detail.attempt, epoch = whole(detail.epoch), outcome = 'succeeded', detail = ARGV[i + 1], holds = '',
    })
  end
end

local function settle_done(lane, from, n)
  if fenced or again or any_cancelling then return settle_each(lane, from, n) end
  local key, by, fields, all_digits, ours = in_hand_key(address), in_hand_field('', lane, consumer), {}, {}, 0
  local facts = facts_of('job', 'job.succeeded', ns, queue)
  for i = from, from + (n - 1) * PER_DONE, PER_DONE do
    index = index + 1
    local digits = ARGV[i]
    local field = digits .. by
    -- Each is asked for, and then all go at once: how many went would not say which were no longer ours.
    if redis.call('HEXISTS', key, field) == 1 then
      ours = ours + 1
      fields[ours], all_digits[ours] = field, digits
      facts.add(digits, ARGV[i + 1])
    else
      local a = cjson.decode(ARGV[i + 1])
      late(job_of(digits), { attempt = a.attempt, epoch = whole(a.epoch), outcome = 'succeeded' })
    end
  end
  if ours == 0 then return end
  facts.flush()
  succeeded = succeeded + redis.call('HDEL', key, unpack(fields))
  forget_payloads(address, lane, all_digits)
end

local i = 6
while i <= #ARGV do
  if ARGV[i] == 'done' then
    local n = tonumber(ARGV[i + 2])
    settle_done(ARGV[i + 1], i + 3, n)
    i = i + 3 + n * PER_DONE
  else
    index = index + 1
    settle(ARGV[i + 1], ARGV[i + 2], {
      attempt = tonumber(ARGV[i + 3]), epoch = ARGV[i + 4], outcome = ARGV[i + 5], delay = ARGV[i + 6], reason = ARGV[i + 7],
      detail = ARGV[i + 8], last = ARGV[i + 9], holds = ARGV[i + 10],
    })
    i = i + 1 + PER_ATTEMPT
  end
end
if succeeded > 0 then count(address, 'succeeded', succeeded) end
if ARGV[5] ~= '' and not fenced then note_prefetched(address, consumer, tonumber(ARGV[5])) end
return lates

-- How an attempt ends, whoever says so: the dispatcher that made it, or the worker that holds it under a lease of its own.
-- The last of the preludes in the library.

-- Worker-held jobs are in hand under this name; no dispatcher has it, so nobody takes them over while their lease lasts.
local LEASED = '@leased'
-- Where they go when it ends without a word: a consumer that is gone, whose jobs are taken over.
local EXPIRED = '@expired'

local function lease_member(job) return 'lease:' .. job end

-- Forget a worker's lease, if there was one.
local function drop_lease(job)
  redis.call('HDEL', TAG .. ':leased', job)
  redis.call('ZREM', TAG .. ':due', lease_member(job))
end

-- `holds` is '' for most jobs: they hold nothing and were never moved, and cost nothing here.
local function succeed(address, ns, queue, job, detail, holds, any_cancelling)
  append('job', 'job.succeeded', ns, queue, job, detail)
  if holds ~= '' or any_cancelling then release_all(address, job, holds) end
  count(address, 'succeeded', 1)
end

local function try_again(address, lane, job, entry, a)
  local ns, queue = split_address(address)
  local limits = limits_of(address)
  local due = now_ms() + tonumber(a.delay)
  local counted = a.outcome == 'retry'
  append('job', 'job.attempt_failed', ns, queue, job, string.sub(a.detail, 1, -2) .. ',"lastResponse":' .. a.last
    .. (counted and '' or ',"counted":false') .. ',"nextAttemptAtMs":' .. whole(due) .. '}')
  redis.call('HDEL', TAG .. ':places', job)
  if limits and not keeps_slot(limits) then free_slot(address, job) end
  park(address, lane, whole(due), job, counted and a.attempt or a.attempt - 1, a.epoch, entry.meta,
    payload_of(address, lane, digits_of(job), entry.data))
end

-- End an attempt at a job that its holder has in hand: `a` = {attempt, epoch, outcome, delay, reason, detail, last, holds}. It is
-- in hand until it is where it goes: a script that fails half way loses nothing.
local function conclude(address, lane, holder, job, a, any_cancelling)
  local ns, queue = split_address(address)
  local key, field = in_hand_key(address), in_hand_field(digits_of(job), lane, holder)
  local entry = a.outcome ~= 'succeeded' and parse_element(redis.call('HGET', key, field))
  local cancelled_by = any_cancelling and redis.call('HGET', TAG .. ':cancelling', job)
  if a.outcome == 'succeeded' then
    succeed(address, ns, queue, job, a.detail, a.holds, any_cancelling)
  elseif cancelled_by or a.outcome == 'cancelled' then
    append('job', 'job.attempt_failed', ns, queue, job, string.sub(a.detail, 1, -2) .. ',"lastResponse":' .. a.last .. '}')
    cancel_job(address, job, entry.meta, cancelled_by or '{}')
  elseif a.outcome == 'dead' then
    append('job', 'job.attempt_failed', ns, queue, job, string.sub(a.detail, 1, -2) .. ',"lastResponse":' .. a.last .. '}')
    entry.attempt, entry.epoch, entry.data = a.attempt, a.epoch, payload_of(address, lane, digits_of(job), entry.data)
    bury(address, lane, job, entry, a.reason, a.last)
  else
    try_again(address, lane, job, entry, a)
  end
  redis.call('HDEL', key, field)
  forget_payloads(address, lane, { digits_of(job) })
end

-- Give a job that is in hand to another holder, as it is; false when the one that is named does not have it.
local function pass_on(address, lane, job, from, to)
  local key, field = in_hand_key(address), in_hand_field(digits_of(job), lane, from)
  local value = redis.call('HGET', key, field)
  if not value then return false end
  redis.call('HSET', key, in_hand_field(digits_of(job), lane, to), value)
  redis.call('HDEL', key, field)
  return true
end

-- Hand a job to its worker: it stays in hand, so it goes on counting as running, and ends by the worker's word or when the
-- lease does.
local function lease_to_worker(address, lane, from, job, a)
  local ns, queue = split_address(address)
  pass_on(address, lane, job, from, LEASED)
  redis.call('HSET', TAG .. ':leased', job, cjson.encode({
    address = address, lane = lane, attempt = a.attempt, epoch = tonumber(a.epoch), token = a.reason, policy = a.detail,
  }))
  set_due(lease_member(job), whole(now_ms() + tonumber(a.delay)))
  append('job', 'job.leased', ns, queue, job, '{"attempt":' .. a.attempt .. ',"epoch":' .. a.epoch .. ',"leaseMs":' .. a.delay .. '}')
end


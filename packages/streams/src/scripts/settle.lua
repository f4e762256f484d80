-- Settle a batch of attempts of one queue: acknowledge, then success, retry into `due`, dead letter, cancelled, or handed
-- to the worker under a lease; with events.
-- KEYS[1] log
-- ARGV[2] consumer  ARGV[3] address  ARGV[4] `again` when the answer to the same call was lost, else '', then 11 per attempt:
--   lane, entry id, job id, attempt, epoch, outcome `succeeded|retry|postpone|dead|cancelled|leased`, delay ms (retry,
--   postpone) or lease ms (leased), reason (dead) or token (leased), detail JSON object (leased: the retry policy), last response JSON object (all but
--   succeeded and leased), meta JSON where the job holds a key or was moved ('' else)
-- Returns per attempt 'settled' or 'late'. Late: the consumer left or was taken over, or another one has the entry;
--   nothing changes but a `job.late` event, so one attempt has one accepted outcome. A lease that lapsed and that nobody
--   took over may still be renewed, so it may still settle: refused here, the entry would stay pending under a name that
--   lives on, in nobody's hands. Asked `again`, an entry that is no longer pending, or that is the worker's, was settled by
--   the first call.
-- A postponed attempt is a retry that does not count. A job whose cancellation was asked for while it ran is cancelled
--   unless it succeeded.
-- A dispatcher that dies before calling this leaves the entry pending (taken over, delivered again: at least once);
-- one that dies after it lost only the answer.
local consumer, address, again = ARGV[2], ARGV[3], ARGV[4] == 'again'
local PER_ATTEMPT = 11
local ns, queue = split_address(address)
local lease_end = tonumber(redis.call('ZSCORE', TAG .. ':consumers', consumer) or 0)
local fenced = lease_end == 0
local any_cancelling = redis.call('EXISTS', TAG .. ':cancelling') == 1
local results = {}

local function late(job, a)
  append('job', 'job.late', ns, queue, job,
    '{"attempt":' .. a.attempt .. ',"epoch":' .. a.epoch .. ',"outcome":"' .. a.outcome .. '","consumer":"' .. consumer .. '"}')
  return 'late'
end

-- An entry of ours is ours unless somebody took from us while our lease had lapsed; only then, or when asked again, is it
-- worth looking.
local must_look = again or redis.call('SISMEMBER', TAG .. ':robbed', consumer) == 1

-- The common end: a success. Acknowledged one by one, because the answer says whether it was pending; counted and taken
-- off the lanes together.
local succeeded = 0
local done = {}

local function settle_success(lane, entry_id, job, detail, holds)
  if redis.call('XACK', lane_key(address, lane), 'dispatch', entry_id) == 0 then return false end
  local ids = done[lane]
  if not ids then
    ids = {}
    done[lane] = ids
  end
  ids[#ids + 1] = entry_id
  succeeded = succeeded + 1
  append('job', 'job.succeeded', ns, queue, job, detail)
  if holds ~= '' or any_cancelling then release_all(address, job, holds) end
  return true
end

local function settle(lane, entry_id, job, a)
  if fenced then return late(job, a) end
  if a.outcome == 'succeeded' and not must_look then
    return settle_success(lane, entry_id, job, a.detail, a.holds) and 'settled' or late(job, a)
  end
  local holder = redis.call('XPENDING', lane_key(address, lane), 'dispatch', entry_id, entry_id, 1)[1]
  if again and (not holder or holder[2] == LEASED) then return 'settled' end
  if not holder or holder[2] ~= consumer then return late(job, a) end
  if a.outcome == 'leased' and not (any_cancelling and redis.call('HEXISTS', TAG .. ':cancelling', job) == 1) then
    lease_to_worker(address, lane, entry_id, job, a)
    return 'settled'
  end
  if a.outcome == 'leased' then
    a.outcome, a.last = 'cancelled', '{}'
    a.detail = '{"attempt":' .. a.attempt .. ',"epoch":' .. a.epoch .. ',"reason":"cancelled"}'
  end
  conclude(address, lane, entry_id, job, a, any_cancelling)
  return 'settled'
end

for i = 5, #ARGV, PER_ATTEMPT do
  results[#results + 1] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], {
    attempt = tonumber(ARGV[i + 3]), epoch = ARGV[i + 4], outcome = ARGV[i + 5], delay = ARGV[i + 6], reason = ARGV[i + 7],
    detail = ARGV[i + 8], last = ARGV[i + 9], holds = ARGV[i + 10],
  })
end
for lane, ids in pairs(done) do redis.call('XDEL', lane_key(address, lane), unpack(ids)) end
if succeeded > 0 then count(address, 'succeeded', succeeded) end
return results

-- Settle a batch of attempts of one queue: acknowledge, then success, retry into `due`, or dead letter; with events.
-- KEYS[1] log
-- ARGV[2] consumer  ARGV[3] address  ARGV[4] `again` when the answer to the same call was lost, else '', then 10 per attempt: lane, entry id, job id, attempt, epoch,
--   outcome `succeeded|retry|dead`, delay ms (retry), reason (dead), detail JSON object, last response JSON object (retry, dead)
-- Returns per attempt 'settled' or 'late'. Late: the consumer left or was taken over, or another one has the entry;
--   nothing changes but a `job.late` event, so one attempt has one accepted outcome. A lease that lapsed and that nobody
--   took over may still be renewed, so it may still settle: refused here, the entry would stay pending under a name that
--   lives on, in nobody's hands. Asked `again`, an entry that is no longer pending was settled by the first call.
-- A dispatcher that dies before calling this leaves the entry pending (taken over, delivered again: at least once);
-- one that dies after it lost only the answer.
local consumer, address, again = ARGV[2], ARGV[3], ARGV[4] == 'again'
local ns, queue = split_address(address)
local lease_end = tonumber(redis.call('ZSCORE', TAG .. ':consumers', consumer) or 0)
local fenced = lease_end == 0
local results = {}

local function late(job, attempt, epoch, outcome)
  append('job', 'job.late', ns, queue, job,
    '{"attempt":' .. attempt .. ',"epoch":' .. epoch .. ',"outcome":"' .. outcome .. '","consumer":"' .. consumer .. '"}')
  return 'late'
end

local function settle(lane, entry_id, job, attempt, epoch, outcome, delay, reason, detail, last)
  if fenced then return late(job, attempt, epoch, outcome) end
  local key = lane_key(address, lane)
  local holder = redis.call('XPENDING', key, 'dispatch', entry_id, entry_id, 1)[1]
  if not holder and again then return 'settled' end
  if not holder or holder[2] ~= consumer then return late(job, attempt, epoch, outcome) end
  local entry
  if outcome ~= 'succeeded' then
    local found = redis.call('XRANGE', key, entry_id, entry_id)
    if found[1] then entry = parse_entry(found[1][2]) end
  end
  redis.call('XACK', key, 'dispatch', entry_id)
  redis.call('XDEL', key, entry_id)
  if outcome == 'succeeded' then
    count(address, 'succeeded', 1)
    append('job', 'job.succeeded', ns, queue, job, detail)
    return 'settled'
  end
  entry.attempt, entry.epoch = attempt, epoch
  local failed = string.sub(detail, 1, -2) .. ',"lastResponse":' .. last
  if outcome == 'retry' then
    local due = now_ms() + tonumber(delay)
    append('job', 'job.attempt_failed', ns, queue, job, failed .. ',"nextAttemptAtMs":' .. string.format('%d', due) .. '}')
    park(address, lane, due, job, attempt, epoch, entry.meta, entry.data)
  else
    append('job', 'job.attempt_failed', ns, queue, job, failed .. '}')
    bury(address, lane, job, entry, reason, last)
  end
  return 'settled'
end

for i = 5, #ARGV, 10 do
  results[#results + 1] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6],
    ARGV[i + 7], ARGV[i + 8], ARGV[i + 9])
end
return results

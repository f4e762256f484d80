-- Where a job is and what it waits for.
-- KEYS[1] log   ARGV[2] job id
-- Returns {'unknown'} (it never was, or is at its end), or {state, address, lane, due ms, consumer, key, jobs ahead of it,
--   running jobs of its key, JSON of who paused the queue, JSON of who paused the key, running jobs of the queue,
--   JSON of who asks to cancel it, ms until the queue's rate limit has a token, the same of its key's, JSON of who drains the queue, 1 when there are more jobs ahead of it than were counted, running jobs of
--   the queue, jobs that have a slot of its key and what each does, `running|scheduled|dead`} with '' or 0 where something does not
--   apply. Jobs ahead of it in the line of its key are counted as far as a thousand or so many bytes go, and a few of the others are named.
local MAX_AHEAD, MAX_AHEAD_BYTES, MAX_NAMED = 1000, 16777216, 5
-- Slots that are looked at for those of the key.
local MAX_SLOTS = 10000
local job = ARGV[2]
local place = locate(job)
if not place then return { 'unknown' } end
local state, address, lane = place[1], place[2], place[3] or ''
local due, consumer, key, ahead, more_ahead = 0, '', '', 0, 0

local function count_held_before(line, entry_id)
  local bytes = 0
  each_entry(line, '-', '(' .. entry_id, MAX_AHEAD, function(entry)
    ahead, bytes = ahead + 1, bytes + #entry[2][#entry[2]]
    if ahead < MAX_AHEAD and bytes < MAX_AHEAD_BYTES then return false end
    more_ahead = 1
    return true
  end)
end

local function running_jobs()
  local jobs = {}
  for _, item in ipairs(each_in_hand(address)) do
    jobs[#jobs + 1] = job_of(item[2])
    if #jobs == MAX_NAMED then break end
  end
  return jobs
end

-- Who has the slots of its key: running, waiting for a retry that keeps it, or dead and blocking.
local function slot_holders()
  local holders, cursor, looked_at = {}, '0', 0
  repeat
    local page = redis.call('HSCAN', slots_key(address), cursor, 'COUNT', 500)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if page[2][i + 1] == key and #holders < MAX_NAMED * 2 then
        local holder = page[2][i]
        local is_dead = redis.call('HEXISTS', TAG .. ':dead-index', holder) == 1
        local is_parked = redis.call('HEXISTS', TAG .. ':parked', holder) == 1
        holders[#holders + 1] = holder
        holders[#holders + 1] = is_dead and 'dead' or is_parked and 'scheduled' or 'running'
      end
    end
    looked_at = looked_at + #page[2] / 2
  until cursor == '0' or #holders >= MAX_NAMED * 2 or looked_at >= MAX_SLOTS
  return holders
end

if state == 'scheduled' then
  due = tonumber(redis.call('ZSCORE', TAG .. ':due', job) or 0)
elseif state == 'held' then
  key = place[5]
  count_held_before(held_key(address, key), place[4])
elseif state == 'running' then
  consumer = place[5]
elseif state == 'waiting' then
  ahead = place[4]
  -- Holes are no jobs: where there are any, those before it are counted as far as a thousand go.
  if ahead > 0 and holes_of(address) > 0 then
    local elements = redis.call('LRANGE', lane_key(address, lane), 0, math.min(ahead, MAX_AHEAD) - 1)
    ahead, more_ahead = 0, ahead > MAX_AHEAD and 1 or 0
    for _, element in ipairs(elements) do
      if not is_hole(element) then ahead = ahead + 1 end
    end
  end
end

local limits = limits_of(address)
local function token_wait(rate, of) return rate and wait_for_token(rate, TAG .. ':rate:' .. of, now_ms()) or 0 end

local in_hand, prefetched = in_hand_of(address)
local paused = TAG .. ':paused'
return { state, address, lane, due, consumer, key, ahead,
  tonumber(redis.call('HGET', runs_key(address), key) or 0),
  redis.call('HGET', paused, address) or '', key ~= '' and redis.call('HGET', paused, address .. '\n' .. key) or '',
  in_hand - prefetched, redis.call('HGET', TAG .. ':cancelling', job) or '',
  token_wait(limits and limits.rate, address), key ~= '' and token_wait(limits and limits.keyRate, address .. ':' .. key) or 0,
  redis.call('HGET', counts_key(address), 'draining') or '', more_ahead,
  (state == 'waiting' or state == 'held') and running_jobs() or {}, state == 'held' and key ~= '' and slot_holders() or {} }

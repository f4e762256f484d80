-- Take a replay from one state to the next, with the jobs of that step and the event of its beginning or end: all of it or nothing,
-- so that however many dispatchers advance it, and wherever one of them dies, each event is put in once.
-- KEYS[1] log (of the partition that the subscription lives in)
-- ARGV[2] replay id  ARGV[3] its state as the caller read it ('' = there is none)  ARGV[4] its next state
-- ARGV[5] `running|ended`  ARGV[6] how long an ended replay is remembered, ms
-- ARGV[7] address of the subscription  ARGV[8] so many jobs may wait in its queue  ARGV[9] event type ('' = no event)  ARGV[10] data of the event
--   then per job: meta JSON, CloudEvent JSON
-- Returns {'advanced'}; {'conflict'} when the state is another; {'full'} when the queue takes no jobs now: it is drained, closed or has enough.
local id, expected, next_state, phase, keep_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local address, limit, event, data = ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10]
local replays, ends = TAG .. ':replays', TAG .. ':replay-ends'
local ns, queue = split_address(address)
local FIRST_JOB, PER_JOB = 11, 2

if (redis.call('HGET', replays, id) or '') ~= expected then return { 'conflict' } end
local jobs = (#ARGV - FIRST_JOB + 1) / PER_JOB
if jobs > 0 and (refusal_of(address) or waiting_in(address) >= limit) then return { 'full' } end

for i = FIRST_JOB, #ARGV, PER_JOB do
  local meta, json = ARGV[i], ARGV[i + 1]
  local position = append('job', 'job.enqueued', ns, queue, '', '{"lane":"normal","meta":' .. meta .. ',"data":' .. json .. '}')
  make_ready(address, 'normal', position, '', 0, 0, meta, json)
end
if jobs > 0 then count(address, 'accepted', jobs) end

redis.call('HSET', replays, id, next_state)
local now = now_ms()
redis.call('ZADD', ends, phase == 'running' and 'inf' or whole(now), id)
if event ~= '' then append('queue', event, ns, queue, 'queue/' .. queue, data) end
if phase == 'ended' then
  -- What ended long ago is forgotten here, a few at a time.
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', whole(now - keep_ms), 'LIMIT', 0, 100)) do
    redis.call('HDEL', replays, old)
    redis.call('ZREM', ends, old)
  end
end
return { 'advanced' }

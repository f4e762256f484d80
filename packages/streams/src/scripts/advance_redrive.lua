-- Take a redrive from one state to the next, and put the letters back that belong to that step: all of it or nothing, so
-- that however many dispatchers advance it, and wherever one of them dies, every step is done once.
-- KEYS[1] log
-- ARGV[2] redrive id  ARGV[3] its state as the caller read it ('' = there is none)  ARGV[4] its next state
-- ARGV[5] `running|ended`  ARGV[6] how long an ended redrive is remembered, ms
-- ARGV[7] address  ARGV[8] event type ('' = no event)  ARGV[9] data of the event
-- ARGV[10] JSON object of who and why for each job, then job ids
-- Returns {'advanced'}; {'conflict', state} when the state is another ('' = there is none); {'gone', id...} when jobs are dead
--   letters no more, and the caller has to leave them out; {'closed'} when the queue is closed, where nobody would deliver.
local id, expected, next_state, phase, keep_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local address, event, data, by = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local redrives, ends = TAG .. ':redrives', TAG .. ':redrive-ends'

local current = redis.call('HGET', redrives, id) or ''
if current ~= expected then return { 'conflict', current } end

local letters, gone = {}, { 'gone' }
for i = 11, #ARGV do
  local letter = find_letter(address, ARGV[i])
  if letter then letters[#letters + 1] = letter else gone[#gone + 1] = ARGV[i] end
end
if #gone > 1 then return gone end
if #letters > 0 and is_closed(address) then return { 'closed' } end

for _, letter in ipairs(letters) do redrive_letter(address, letter, by) end
redis.call('HSET', redrives, id, next_state)
local now = now_ms()
redis.call('ZADD', ends, phase == 'running' and 'inf' or whole(now), id)
if event ~= '' then
  local ns, queue = split_address(address)
  append('queue', event, ns, queue, 'queue/' .. queue, data)
end
if phase == 'ended' then
  -- What ended long ago is forgotten here, a few at a time.
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', whole(now - keep_ms), 'LIMIT', 0, 100)) do
    redis.call('HDEL', redrives, old)
    redis.call('ZREM', ends, old)
  end
end
return { 'advanced' }

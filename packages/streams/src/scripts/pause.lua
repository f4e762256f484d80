-- Pause or resume a queue, or one key of it, or drain a queue. Durable: it lasts until it is resumed. Of a paused queue
-- running jobs finish, new ones are accepted and wait, what is due still moves into the queue. A queue that is drained
-- takes no new jobs, and what is in it is delivered. It can be both; a resume ends both.
-- KEYS[1] log
-- ARGV[2] `pause|drain|resume`  ARGV[3] address  ARGV[4] key ('' = the whole queue)  ARGV[5] JSON object of who, why and at
-- Returns 'paused', 'draining', 'resumed' or 'unchanged'.
-- Draining stands with the counters, because an enqueue reads there anyway whether the queue is closed.
local action, address, key, by = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local field = key == '' and address or address .. '\n' .. key
local paused = TAG .. ':paused'
local ns, queue = split_address(address)
local entity = 'queue/' .. queue

local function event(type)
  local extra = key == '' and '' or ',"key":' .. cjson.encode(key)
  append('queue', type, ns, queue, entity, string.sub(by, 1, -2) .. extra .. '}')
end

if action == 'pause' then
  if redis.call('HEXISTS', paused, field) == 1 then return 'unchanged' end
  redis.call('HSET', paused, field, by)
  if key ~= '' then redis.call('ZREM', ring_key(address), key) end
  event('queue.paused')
  return 'paused'
end
if action == 'drain' then
  if redis.call('HSETNX', counts_key(address), 'draining', by) == 0 then return 'unchanged' end
  event('queue.drain_started')
  return 'draining'
end
local resumed = redis.call('HDEL', paused, field)
if key == '' then resumed = resumed + redis.call('HDEL', counts_key(address), 'draining') end
if resumed == 0 then return 'unchanged' end
event('queue.resumed')
local limits = limits_of(address)
if key ~= '' and limits and limits.keyConcurrency then enter_ring(address, key, limits) end
redis.call('PUBLISH', TAG .. ':wake', address)
return 'resumed'

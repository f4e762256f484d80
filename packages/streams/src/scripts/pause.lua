-- Pause or resume a queue, or one key of it. Durable: it lasts until it is resumed. Running jobs finish, new ones are
-- accepted and wait, what is due still moves into the queue.
-- KEYS[1] log
-- ARGV[2] `pause|resume`  ARGV[3] address  ARGV[4] key ('' = the whole queue)  ARGV[5] JSON object of who, why and at
-- Returns 'paused', 'resumed' or 'unchanged'.
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
if redis.call('HDEL', paused, field) == 0 then return 'unchanged' end
event('queue.resumed')
local limits = limits_of(address)
if key ~= '' and limits and limits.keyConcurrency then enter_ring(address, key, limits) end
redis.call('PUBLISH', TAG .. ':wake', address)
return 'resumed'

-- Close a queue that is no longer declared, once nothing is left in it. Its dead letters and counters stay.
-- KEYS[1] log   ARGV[2] address
-- Returns 'closed', or 'busy' while a job waits, runs or is scheduled; 'unknown' when it was closed before.
local address = ARGV[2]
if redis.call('SISMEMBER', TAG .. ':queues', address) == 0 then return 'unknown' end
if redis.call('HLEN', in_hand_key(address)) > 0 then return 'busy' end
for _, lane in ipairs(LANES) do
  if redis.call('LLEN', lane_key(address, lane)) > 0 then return 'busy' end
end
for _, counter in ipairs({ 'scheduled', 'held' }) do
  if tonumber(redis.call('HGET', counts_key(address), counter) or 0) > 0 then return 'busy' end
end
for _, lane in ipairs(LANES) do redis.call('DEL', lane_key(address, lane), large_key(address, lane)) end
-- Remembered, so that a process that has not heard of it puts no job where nobody would look for it.
redis.call('HSET', counts_key(address), 'closed', 1)
redis.call('HDEL', counts_key(address), 'draining')
redis.call('SREM', TAG .. ':queues', address)
if redis.call('XLEN', dead_key(address)) > 0 then redis.call('SADD', TAG .. ':closed', address) end
redis.call('SREM', TAG .. ':idle', address)
redis.call('HDEL', TAG .. ':limits', address)
-- Its pause and those of its keys: declared again, it is a new queue.
for _, field in ipairs(redis.call('HKEYS', TAG .. ':paused')) do
  if field == address or string.sub(field, 1, #address + 1) == address .. '\n' then redis.call('HDEL', TAG .. ':paused', field) end
end
redis.call('HDEL', TAG .. ':breakers', address)
redis.call('DEL', ring_key(address), runs_key(address), slots_key(address), TAG .. ':lines:' .. address, prefetched_key(address))
local ns, queue = split_address(address)
append('queue', 'queue.closed', ns, queue, 'queue/' .. queue, '{}')
return 'closed'

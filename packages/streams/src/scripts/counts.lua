-- Live counts of queues: what the conservation balance is made of.
-- KEYS[1] log   ARGV[2..] addresses
-- Returns per address {waiting, running, oldest waiting ms (0 = none), [field, value...] of the counters, JSON of who paused
--   it ('' = nobody)}. What is held behind its key waits as well, and so does what is prefetched.
local results = {}
for i = 2, #ARGV do
  local address = ARGV[i]
  local in_hand, prefetched = in_hand_of(address)
  local waiting, oldest = prefetched + waiting_of(address) + tonumber(redis.call('HGET', counts_key(address), 'held') or 0), 0
  for _, lane in ipairs(LANES) do
    local head = redis.call('LINDEX', lane_key(address, lane), 0)
    if head then
      local ms = tonumber(string.sub(head, 1, 11), 16)
      if oldest == 0 or ms < oldest then oldest = ms end
    end
  end
  -- The keys whose turn is next stand for all of them: looking at each would be slow with many keys.
  for _, key in ipairs(redis.call('ZRANGE', ring_key(address), 0, 19)) do
    local first = redis.call('XRANGE', held_key(address, key), '-', '+', 'COUNT', 1)[1]
    local ms = first and tonumber(string.match(first[1], '^%d+')) or 0
    if ms > 0 and (oldest == 0 or ms < oldest) then oldest = ms end
  end
  local paused = redis.call('HGET', TAG .. ':paused', address) or ''
  results[#results + 1] = { waiting, in_hand - prefetched, oldest, redis.call('HGETALL', counts_key(address)), paused }
end
return results

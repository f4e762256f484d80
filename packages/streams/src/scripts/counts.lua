-- Live counts of queues: what the conservation balance is made of.
-- KEYS[1] log   ARGV[2..] addresses
-- Returns per address {waiting, running, oldest waiting ms (0 = none), [field, value...] of the counters, JSON of who paused
--   it ('' = nobody)}. An entry leaves its lane when it is settled, so a lane's length is waiting plus running; what is held
--   behind its key waits as well, and so does what is prefetched.
local results = {}
for i = 2, #ARGV do
  local address = ARGV[i]
  local waiting, running, oldest = 0, 0, 0
  for _, lane in ipairs(LANES) do
    local key = lane_key(address, lane)
    if redis.call('EXISTS', key) == 1 then
      -- Without a group the queue takes jobs and was not opened yet: all of them wait.
      local pending = tonumber(pending_in(key)[1] or 0)
      local ready = redis.call('XLEN', key) - pending
      running, waiting = running + pending, waiting + ready
      if ready > 0 then
        local group = redis.call('XINFO', 'GROUPS', key)[1]
        local last = group and group[8] or '0-0'
        local first = redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', 1)[1]
        local ms = first and tonumber(string.match(first[1], '^%d+')) or 0
        if ms > 0 and (oldest == 0 or ms < oldest) then oldest = ms end
      end
    end
  end
  local prefetched = prefetched_of(address)
  running, waiting = running - prefetched, waiting + prefetched + tonumber(redis.call('HGET', counts_key(address), 'held') or 0)
  -- The keys whose turn is next stand for all of them: looking at each would be slow with many keys.
  for _, key in ipairs(redis.call('ZRANGE', ring_key(address), 0, 19)) do
    local first = redis.call('XRANGE', held_key(address, key), '-', '+', 'COUNT', 1)[1]
    local ms = first and tonumber(string.match(first[1], '^%d+')) or 0
    if ms > 0 and (oldest == 0 or ms < oldest) then oldest = ms end
  end
  local paused = redis.call('HGET', TAG .. ':paused', address) or ''
  results[#results + 1] = { waiting, running, oldest, redis.call('HGETALL', counts_key(address)), paused }
end
return results

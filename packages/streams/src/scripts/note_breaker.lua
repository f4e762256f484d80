-- Note that a circuit breaker opened or closed, as seen by one dispatcher.
-- KEYS[1] log   ARGV[2] `opened|closed`  ARGV[3] address of the queue whose answer told  ARGV[4] JSON object of what is known
-- Returns 'noted'. The note is for explaining and for people; each dispatcher goes by its own breaker.
local kind, address, state = ARGV[2], ARGV[3], ARGV[4]
local ns, queue = split_address(address)
if kind == 'opened' then
  redis.call('HSET', TAG .. ':breakers', address, state)
else
  redis.call('HDEL', TAG .. ':breakers', address)
end
append('endpoint', 'breaker.' .. kind, ns, queue, 'queue/' .. queue, state)
return 'noted'

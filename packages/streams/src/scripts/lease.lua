-- A dispatcher's lease on a partition, by the server's clock. A name is used for one term. Its holder may renew it late,
-- as long as nobody has taken over: a Redis that was away for a minute then costs no second delivery. Once taken over
-- the name is gone for good and its holder joins under a new one.
-- KEYS[1] log   ARGV[2] `join|renew|leave`  ARGV[3] consumer  ARGV[4] ttl ms
-- Returns {'held', lease end ms}, {'lost'} or {'left'}.
-- Leaving sets the end to 0: whatever is still in hand under the name is taken over at once.
local action, consumer, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
local key = TAG .. ':consumers'

if action == 'leave' then
  if redis.call('ZSCORE', key, consumer) then redis.call('ZADD', key, 0, consumer) end
  redis.call('PUBLISH', TAG .. ':wake', '@left')
  return { 'left' }
end
local known = redis.call('ZSCORE', key, consumer)
if action == 'renew' and (not known or tonumber(known) == 0) then return { 'lost' } end
local lease_end = now_ms() + ttl
redis.call('ZADD', key, lease_end, consumer)
return { 'held', lease_end }

-- Take a subscription to another place in the logs, ahead or back. From there it reads on its own until it has caught up.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] data of the event: who, why, where to; then pairs of a partition's number and the position in its log behind which to go on
-- Returns 'moved', or 'unknown' when no such subscription lives here (yet).
-- What it gets again up to where it was is marked as such. What waits in its queue already stays there.
local address = ARGV[2]
local routed, behind = TAG .. ':routed', TAG .. ':behind'
if redis.call('HEXISTS', TAG .. ':subscribed', address) == 0 then return 'unknown' end
for i = 4, #ARGV, 2 do
  local field = address .. ' ' .. ARGV[i]
  local own = redis.call('HGET', behind, field)
  local was = own and string.match(own, '^(%S+)') or redis.call('HGET', routed, ARGV[i]) or ''
  redis.call('HSET', behind, field, was == '' and ARGV[i + 1] or ARGV[i + 1] .. ' ' .. was)
end
local ns, queue = split_address(address)
append('queue', 'subscription.moved', ns, queue, 'queue/' .. queue, ARGV[3])
return 'moved'

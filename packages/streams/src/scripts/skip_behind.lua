-- Let a subscription that reads on its own and is too far back go on at a later position, so that the log can be trimmed.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] number of the partition whose log it is  ARGV[4] position to go on behind
-- Returns {'skipped', position it was at}, or {'unchanged'} when it is there already, or goes with the common cursor.
-- What lies between is lost to it unless it is replayed; `subscription.lost_events` says so in the same step.
local address, source, to = ARGV[2], ARGV[3], ARGV[4]
local field = address .. ' ' .. source
local text = redis.call('HGET', TAG .. ':behind', field)
if not text then return { 'unchanged' } end
local at, again = string.match(text, '^(%S+) ?(.*)$')
if not less(at, to) then return { 'unchanged' } end
redis.call('HSET', TAG .. ':behind', field, again == '' and to or to .. ' ' .. again)
local ns, queue = split_address(address)
append('queue', 'subscription.lost_events', ns, queue, 'queue/' .. queue,
  '{"partition":' .. source .. ',"from":"' .. at .. '","to":"' .. to .. '"}')
return { 'skipped', at }

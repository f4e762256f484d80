-- Make the lanes of queues and their consumer group, and list the queues in their partition. Doing it again does nothing.
-- KEYS[1] log   ARGV[2..] addresses
-- Returns how many were new.
-- The group starts at 0: should it ever have been destroyed, what waits is delivered (again), never skipped.
local opened = 0
for i = 2, #ARGV do
  local address = ARGV[i]
  for _, lane in ipairs(LANES) do
    local made = redis.pcall('XGROUP', 'CREATE', lane_key(address, lane), 'dispatch', '0', 'MKSTREAM')
    if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
  end
  redis.call('HDEL', counts_key(address), 'closed')
  if redis.call('SADD', TAG .. ':queues', address) == 1 then
    opened = opened + 1
    -- Nobody has looked for jobs yet, so the first one is announced.
    redis.call('SADD', TAG .. ':idle', address)
  end
end
return opened

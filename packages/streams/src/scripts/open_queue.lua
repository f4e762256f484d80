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
  opened = opened + redis.call('SADD', TAG .. ':queues', address)
end
return opened

-- Settle the facts that are fixed at first boot: the number of partitions and the layout's version. A layout of before, which this
-- version reads, becomes the one that it writes; from then on an older version does not start here.
-- KEYS[1] log of the registry   ARGV[2] partitions  ARGV[3] layout version
-- Returns {partitions, layout} as stored: the caller compares and refuses to start with others, of which nothing is changed.
local meta = TAG .. ':meta'
redis.call('HSETNX', meta, 'partitions', ARGV[2])
redis.call('HSETNX', meta, 'layout', ARGV[3])
local stored = redis.call('HMGET', meta, 'partitions', 'layout')
if stored[1] == ARGV[2] and tonumber(stored[2]) < tonumber(ARGV[3]) then
  redis.call('HSET', meta, 'layout', ARGV[3])
  stored[2] = ARGV[3]
end
return stored

-- Settle the facts that are fixed at first boot: the number of partitions and the layout's version.
-- KEYS[1] log of the registry   ARGV[2] partitions  ARGV[3] layout version
-- Returns {partitions, layout} as stored: the caller compares and refuses to start with others.
local meta = TAG .. ':meta'
redis.call('HSETNX', meta, 'partitions', ARGV[2])
redis.call('HSETNX', meta, 'layout', ARGV[3])
return redis.call('HMGET', meta, 'partitions', 'layout')

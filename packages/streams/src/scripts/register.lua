-- Put a service's new version into the registry, if it is still at the version the caller read.
-- KEYS[1] log of the registry
-- ARGV[2] namespace  ARGV[3] version the caller read (0 = none)  ARGV[4] service JSON  ARGV[5] event JSON
-- Returns 'registered' or 'conflict' (read again and decide again).
-- The apps follow `{reg}:changed` and also look at the version now and then, so a lost message delays, never loses.
local namespace, expected, service, event = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local versions = TAG .. ':versions'
if (redis.call('HGET', versions, namespace) or '0') ~= expected then return 'conflict' end
redis.call('HSET', TAG .. ':services', namespace, service)
redis.call('HSET', versions, namespace, tonumber(expected) + 1)
redis.call('HINCRBY', TAG .. ':meta', 'revision', 1)
append('service', 'service.applied', namespace, '', 'service/' .. namespace, event)
redis.call('PUBLISH', TAG .. ':changed', namespace)
return 'registered'

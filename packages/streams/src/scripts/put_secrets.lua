-- Change the signing secrets of a namespace, if they are still as the caller read them.
-- KEYS[1] log of the registry
-- ARGV[2] namespace  ARGV[3] JSON as it was read ('' = none)  ARGV[4] JSON  ARGV[5] event type  ARGV[6] secret id  ARGV[7] event JSON
-- Returns 'put' or 'conflict' (read again and decide again). In ARGV[4] the secrets are sealed, in ARGV[7] there is none.
-- Dispatchers follow `{reg}:changed` and also look at the count of changes now and then, so a lost message delays, never loses.
local namespace, before, after, event_type, secret, event = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if (redis.call('HGET', TAG .. ':secrets', namespace) or '') ~= before then return 'conflict' end
redis.call('HSET', TAG .. ':secrets', namespace, after)
redis.call('HINCRBY', TAG .. ':meta', 'secrets', 1)
append('service', event_type, namespace, '', 'secret/' .. secret, event)
redis.call('PUBLISH', TAG .. ':changed', namespace)
return 'put'

-- Put an API key into the registry, or change one, if it is still as the caller read it.
-- KEYS[1] log of the registry
-- ARGV[2] key id  ARGV[3] JSON as it was read ('' = a new key)  ARGV[4] JSON  ARGV[5] event type  ARGV[6] event JSON
-- Returns 'put' or 'conflict' (read again and decide again). The secret is in neither JSON, only hashes of it in ARGV[4].
local id, before, after, event_type, event = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if (redis.call('HGET', TAG .. ':keys', id) or '') ~= before then return 'conflict' end
redis.call('HSET', TAG .. ':keys', id, after)
append('service', event_type, 'millrace', '', 'key/' .. id, event)
return 'put'

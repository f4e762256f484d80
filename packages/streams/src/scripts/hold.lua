-- A lease that one holder at a time has (the recorder of a partition), by the server's clock. `term` rises with each
-- new holder.
-- KEYS[1] log   ARGV[2] name  ARGV[3] holder  ARGV[4] ttl ms (0 = let go)
-- Returns {'held', term} or {'other', holder}. A lost lease is not an error: step down.
local key, holder, ttl = TAG .. ':lease:' .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local now = now_ms()
local current = redis.call('HMGET', key, 'holder', 'term', 'end')
local live = current[1] and tonumber(current[3]) > now

if live and current[1] ~= holder then return { 'other', current[1] } end
if ttl == 0 then
  if current[1] == holder then redis.call('HSET', key, 'end', 0) end
  return { 'other', '' }
end
local term = tonumber(current[2] or 0)
if not (live and current[1] == holder) then term = term + 1 end
redis.call('HSET', key, 'holder', holder, 'term', term, 'end', now + ttl)
return { 'held', term }

-- Which schedules are due, by the server's clock.
-- KEYS[1] log   ARGV[2] how many at most
-- Returns {now ms, ms until the next one that is not due yet (-1 = none), 1 when there may be more, then address and plan JSON
--   of each}. It changes nothing: `tick` compares all of it again.
local now, limit = now_ms(), tonumber(ARGV[2])
local ticks = TAG .. ':ticks'
local due = redis.call('ZRANGEBYSCORE', ticks, '-inf', now, 'LIMIT', 0, limit)
local head = redis.call('ZRANGEBYSCORE', ticks, '(' .. whole(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local reply = { now, head[2] and tonumber(head[2]) - now or -1, #due == limit and 1 or 0 }
for _, address in ipairs(due) do
  local plan = read_plan(address)
  if plan then
    reply[#reply + 1] = address
    reply[#reply + 1] = cjson.encode(plan)
  end
end
return reply

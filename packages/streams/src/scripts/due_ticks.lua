-- Which schedules are due, or will be soon, by the server's clock.
-- KEYS[1] log   ARGV[2] how many at most   ARGV[3] so many ms ahead
-- Returns {now ms, ms until the next one that is not here (-1 = none), then address and plan of each, the first due first}.
--   It changes nothing: `tick` compares all of it again.
local now, limit = now_ms(), tonumber(ARGV[2])
local ticks, horizon = TAG .. ':ticks', whole(now + tonumber(ARGV[3]))
local due = redis.call('ZRANGEBYSCORE', ticks, '-inf', horizon, 'LIMIT', 0, limit)
local rest = #due == limit and redis.call('ZRANGEBYSCORE', ticks, '-inf', horizon, 'WITHSCORES', 'LIMIT', limit, 1) or {}
local head = rest[2] and rest or redis.call('ZRANGEBYSCORE', ticks, '(' .. horizon, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local reply = { now, head[2] and math.max(0, tonumber(head[2]) - now) or -1 }
if #due == 0 then return reply end
local plans = redis.call('HMGET', TAG .. ':schedules', unpack(due))
for i, address in ipairs(due) do
  if plans[i] then
    reply[#reply + 1] = address
    reply[#reply + 1] = plans[i]
  end
end
return reply

-- Move jobs whose time has come from `due` into their lanes, oldest first.
-- KEYS[1] log   ARGV[2] how many at most
-- Returns {moved, ms until the next one is due (-1 = none)}.
-- One script moves a job whole: it is parked or ready, never both, never neither.
local now = now_ms()
local moved = 0

for _, job in ipairs(redis.call('ZRANGEBYSCORE', TAG .. ':due', '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))) do
  local parked = unpark(job)
  if parked then
    local ns, queue = split_address(parked.address)
    local position = append('job', 'job.ready', ns, queue, job, '{"lane":"' .. parked.lane .. '"}')
    add_ready(parked.address, parked.lane, position, job, parked.attempt, parked.epoch, parked.meta, parked.data)
    redis.call('HDEL', TAG .. ':parked', job)
    count(parked.address, 'scheduled', -1)
    wake_if_idle(parked.address)
  end
  redis.call('ZREM', TAG .. ':due', job)
  moved = moved + 1
end

local head = redis.call('ZRANGE', TAG .. ':due', 0, 0, 'WITHSCORES')
return { moved, head[2] and math.max(0, tonumber(head[2]) - now) or -1 }

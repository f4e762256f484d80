-- Make the lanes of queues and their consumer group, list the queues in their partition, and set their limits. Doing it
-- again does nothing.
-- KEYS[1] log   ARGV[2..] pairs of address and limits JSON ('' = none)
-- Returns how many were new.
-- The group starts at 0: should it ever have been destroyed, what waits is delivered (again), never skipped.
local opened = 0

-- A queue that loses its per-key limit while jobs wait behind keys serves them without a limit until none is left.
local NO_LIMIT = 1000000

local function set_limits(address, text)
  local known = redis.call('HGET', TAG .. ':limits', address)
  local held = tonumber(redis.call('HGET', counts_key(address), 'held') or 0)
  local wanted = text ~= '' and cjson.decode(text) or {}
  if held > 0 and not wanted.keyConcurrency then
    wanted.keyConcurrency = NO_LIMIT
    text = cjson.encode(wanted)
  end
  if (known or '') == text then return end
  if text == '' then
    redis.call('HDEL', TAG .. ':limits', address)
  else
    redis.call('HSET', TAG .. ':limits', address, text)
  end
  -- A higher limit lets keys go on that were at the lower one.
  if wanted.keyConcurrency then
    for _, key in ipairs(redis.call('HKEYS', runs_key(address))) do enter_ring(address, key, wanted) end
  end
end

for i = 2, #ARGV, 2 do
  local address = ARGV[i]
  for _, lane in ipairs(LANES) do
    local made = redis.pcall('XGROUP', 'CREATE', lane_key(address, lane), 'dispatch', '0', 'MKSTREAM')
    if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
  end
  redis.call('HDEL', counts_key(address), 'closed')
  if redis.call('SADD', TAG .. ':queues', address) == 1 then
    opened = opened + 1
    -- Nobody has looked for jobs yet, so the first one is announced.
    redis.call('SADD', TAG .. ':idle', address)
  end
  set_limits(address, ARGV[i + 1])
end
return opened

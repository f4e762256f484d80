-- List queues in their partition, and set their limits. Doing it again does nothing.
-- KEYS[1] log   ARGV[2..] pairs of address and limits JSON ('' = none)
-- Returns {how many were new, 1 when a limit that was taken away still has lines: call again}.
local opened = 0
local unfinished = 0

-- Until the lines of a queue that lost its per-key limit are empty, it has one that nobody reaches: a caller that dies
-- between two calls leaves a queue that goes on being delivered, and the next opening ends the work.
local NO_LIMIT = 1000000
-- Held jobs that one call puts into their lanes.
local RELEASED_AT_ONCE = 1000

-- The first limit of a queue counts what runs.
local function count_running(address)
  for _, item in ipairs(each_in_hand(address)) do
    local key = decode_meta(parse_element(redis.call('HGET', in_hand_key(address), item[1])).meta).key
    if key then take_slot(address, job_of(item[2]), key, { keyConcurrency = NO_LIMIT }) end
  end
end

-- Held jobs go into the lanes that they were meant for. False while some are left.
local function release_lines(address)
  local left, ns, queue = RELEASED_AT_ONCE, split_address(address)
  for _, key in ipairs(redis.call('SRANDMEMBER', TAG .. ':lines:' .. address, left)) do
    each_entry(held_key(address, key), '-', '+', left, function(held)
      local entry = parse_held(held[2])
      local job = entry.job == '' and job_id(held[1]) or entry.job
      local lane = string.match(redis.call('HGET', TAG .. ':places', job), '^%S+ %S+ (%S+)')
      local position = append('job', 'job.ready', ns, queue, job, '{"lane":"' .. lane .. '"}')
      drop_held(address, key, held[1])
      add_ready(address, lane, position, job, entry.attempt, entry.epoch, entry.meta, entry.data)
      left = left - 1
    end)
  end
  wake_if_idle(address)
  return redis.call('EXISTS', TAG .. ':lines:' .. address) == 0
end

-- Dead letters that block their key no longer give its slot back.
local function unblock(address)
  for _, job in ipairs(redis.call('HKEYS', slots_key(address))) do
    if redis.call('HEXISTS', TAG .. ':dead-index', job) == 1 then free_slot(address, job) end
  end
end

local function set_limits(address, text)
  if (redis.call('HGET', TAG .. ':limits', address) or '') == text then return end
  local before = limits_of(address) or {}
  local blocked = blocks_key(address)
  local wanted = text ~= '' and cjson.decode(text) or {}
  local released = before.keyConcurrency and not wanted.keyConcurrency
  if released and not release_lines(address) then
    wanted.keyConcurrency = NO_LIMIT
    text = cjson.encode(wanted)
    unfinished = 1
  elseif released then
    redis.call('DEL', ring_key(address), runs_key(address), slots_key(address))
  end
  known_limits[address] = text ~= '' and wanted
  if text == '' then
    redis.call('HDEL', TAG .. ':limits', address)
  else
    redis.call('HSET', TAG .. ':limits', address, text)
  end
  if not wanted.keyConcurrency then return end
  if not before.keyConcurrency then count_running(address) end
  if blocked and not blocks_key(address) then unblock(address) end
  -- A higher limit lets keys go on that were at the lower one.
  for _, key in ipairs(redis.call('HKEYS', runs_key(address))) do enter_ring(address, key, wanted) end
end

for i = 2, #ARGV, 2 do
  local address = ARGV[i]
  redis.call('HDEL', counts_key(address), 'closed')
  redis.call('SREM', TAG .. ':closed', address)
  if redis.call('SADD', TAG .. ':queues', address) == 1 then
    opened = opened + 1
    -- It may have got jobs from an earlier version before anybody opened it: then raising the partition did not know of it.
    for _, lane in ipairs(LANES) do raise_lane(address, lane) end
    -- Nobody has looked for jobs yet, so the first one is announced.
    redis.call('SADD', TAG .. ':idle', address)
  end
  set_limits(address, ARGV[i + 1])
end
return { opened, unfinished }

-- Cancel a job, wherever it is; for the scripts that do. Put behind the other preludes where a script asks for it.
-- KEYS[1], ARGV[1] as there. Returns nothing by itself.

-- One that runs is marked, and its dispatcher told to end the request. Returns as cancel.lua does.
local function cancel_anywhere(job, by)
  local place = locate(job)
  if not place then return { 'unknown' } end
  local state, address, lane, key = place[1], place[2], place[3], place[5]

  if state == 'dead' then return { 'dead', address } end
  if state == 'running' and key == LEASED then
    -- Its worker hears of it at its next word.
    local field = in_hand_field(digits_of(job), lane, LEASED)
    local meta = parse_element(redis.call('HGET', in_hand_key(address), field)).meta
    cancel_job(address, job, meta, by)
    redis.call('HDEL', in_hand_key(address), field)
    forget_payloads(address, lane, { digits_of(job) })
    drop_lease(job)
    return { 'cancelled', address }
  end
  if state == 'running' then
    -- The attempt may still succeed; that somebody wanted it ended is a fact either way.
    if redis.call('HSET', TAG .. ':cancelling', job, by) == 1 then
      local ns, queue = split_address(address)
      append('job', 'job.cancel_requested', ns, queue, job, by)
    end
    redis.call('PUBLISH', TAG .. ':wake', '@cancel ' .. job)
    return { 'cancelling', address }
  end

  local meta
  if state == 'scheduled' then
    local parked = unpark(job)
    meta = parked.meta
    redis.call('HDEL', TAG .. ':parked', job)
    redis.call('ZREM', TAG .. ':due', job)
    count(address, 'scheduled', -1)
  elseif state == 'held' then
    meta = parse_held(redis.call('XRANGE', held_key(address, key), place[4], place[4])[1][2]).meta
    drop_held(address, key, place[4])
  else
    meta = parse_element(place[5]).meta
    drop_ready(address, lane, place[4], place[5])
    forget_payloads(address, lane, { digits_of(job) })
  end
  cancel_job(address, job, meta, by)
  return { 'cancelled', address }
end


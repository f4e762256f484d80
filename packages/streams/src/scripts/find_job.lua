-- Where a job is and what it waits for.
-- KEYS[1] log   ARGV[2] job id
-- Returns {'unknown'} (it never was, or is at its end), or {state, address, lane, due ms, consumer, key, jobs ahead of it,
--   running jobs of its key, JSON of who paused the queue, JSON of who paused the key, running jobs of the queue,
--   JSON of who asks to cancel it, JSON of the open circuit of its endpoint, ms until the queue's rate limit has a token, the
--   same of its key's, JSON of who drains the queue} with '' or 0 where something does not apply. Jobs ahead are counted up to 1000.
local MAX_AHEAD = 1000
local job = ARGV[2]
local place = locate(job)
if not place then return { 'unknown' } end
local state, address, lane, entry_id = place[1], place[2], place[3] or '', place[4]
local due, consumer, key, ahead = 0, '', '', 0

local function ahead_in(stream, from)
  return #redis.call('XRANGE', stream, from, '(' .. entry_id, 'COUNT', MAX_AHEAD)
end

if state == 'scheduled' then
  due = tonumber(redis.call('ZSCORE', TAG .. ':due', job) or 0)
elseif state == 'held' then
  key = place[5]
  ahead = ahead_in(held_key(address, key), '-')
elseif state == 'running' then
  consumer = place[5]
elseif state == 'waiting' then
  local group = redis.call('XINFO', 'GROUPS', lane_key(address, lane))[1]
  ahead = ahead_in(lane_key(address, lane), '(' .. (group and group[8] or '0-0'))
end

local limits = limits_of(address)
local function token_wait(rate, of) return rate and wait_for_token(rate, TAG .. ':rate:' .. of, now_ms()) or 0 end

local running = 0
for _, name in ipairs(LANES) do
  running = running + tonumber(pending_in(lane_key(address, name))[1] or 0)
end
local paused = TAG .. ':paused'
return { state, address, lane, due, consumer, key, ahead,
  tonumber(redis.call('HGET', runs_key(address), key) or 0),
  redis.call('HGET', paused, address) or '', key ~= '' and redis.call('HGET', paused, address .. '\n' .. key) or '',
  running, redis.call('HGET', TAG .. ':cancelling', job) or '', redis.call('HGET', TAG .. ':breakers', address) or '',
  token_wait(limits and limits.rate, address), key ~= '' and token_wait(limits and limits.keyRate, address .. ':' .. key) or 0,
  redis.call('HGET', counts_key(address), 'draining') or '' }

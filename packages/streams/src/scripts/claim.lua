-- Claim up to `want` ready jobs of one queue for a consumer, never beyond the queue's concurrency over all consumers:
-- the pending lists of its lanes are the limiter. Non-blocking, so that counting and claiming are one step.
-- KEYS[1] log
-- ARGV[2] consumer  ARGV[3] address  ARGV[4] concurrency  ARGV[5] want
-- Returns {'claimed', now ms, job...} with job = {lane, entry id, job id, attempt, epoch, meta, data};
--   {'empty'} nothing ready, the queue is marked idle and the next enqueue publishes a wake-up, or it is closed, which
--   its claimers may not have heard yet; {'full'} at the limit;
--   {'fenced'} the consumer's lease is gone.
-- A dispatcher that dies with the answer on its way leaves the jobs pending under its name: take_over finds them.
local consumer, address, limit, want = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if not holds_lease(consumer) then return { 'fenced' } end
if is_closed(address) then return { 'empty' } end

local running = 0
for _, lane in ipairs(LANES) do
  running = running + tonumber(redis.call('XPENDING', lane_key(address, lane), 'dispatch')[1])
end
local free = math.min(limit - running, want)
if free <= 0 then return { 'full' } end

local now = now_ms()
local ns, queue = split_address(address)
local jobs = {}
local expired = 0

local function start(lane, entry_id, fields)
  local entry = parse_entry(fields)
  local job = entry.job == '' and job_id(entry_id) or entry.job
  local expires = entry.meta ~= '' and cjson.decode(entry.meta).expiresAtMs
  if expires and expires <= now then
    redis.call('XACK', lane_key(address, lane), 'dispatch', entry_id)
    redis.call('XDEL', lane_key(address, lane), entry_id)
    count(address, 'expired', 1)
    append('job', 'job.expired', ns, queue, job, '{"expiresAtMs":' .. string.format('%d', expires) .. '}')
    expired = expired + 1
    return
  end
  local attempt, epoch = entry.attempt + 1, entry.epoch + 1
  append('job', 'job.started', ns, queue, job,
    '{"attempt":' .. attempt .. ',"epoch":' .. epoch .. ',"consumer":"' .. consumer .. '"}')
  jobs[#jobs + 1] = { lane, entry_id, job, attempt, epoch, entry.meta, entry.data }
end

local function take(lane, n)
  if n <= 0 then return end
  local reply = redis.call('XREADGROUP', 'GROUP', 'dispatch', consumer, 'COUNT', n, 'STREAMS', lane_key(address, lane), '>')
  if not reply then return end
  for _, entry in ipairs(reply[1][2]) do start(lane, entry[1], entry[2]) end
end

-- The guard against starvation: of every sixteen starts one is offered to `low` first and one to `normal` first.
-- `claimed` counts the starts, so the share is exact whether claims take one job or hundreds.
local before = tonumber(redis.call('HGET', counts_key(address), 'claimed') or 0)
take('low', math.floor((before + free) / 16) - math.floor(before / 16))
take('normal', math.min(free - #jobs, math.floor((before + free + 8) / 16) - math.floor((before + 8) / 16)))
for _, lane in ipairs(LANES) do take(lane, free - #jobs) end

if #jobs > 0 then
  count(address, 'claimed', #jobs)
  return { 'claimed', now, unpack(jobs) }
end
-- Expired entries made room for nothing: more may wait behind them, so ask again rather than go idle.
if expired > 0 then return { 'claimed', now } end
redis.call('SADD', TAG .. ':idle', address)
return { 'empty' }

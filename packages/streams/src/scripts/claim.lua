-- Let up to `want` attempts at ready jobs of one queue begin, never beyond the queue's concurrency over all consumers: what is in
-- hand, but for what is prefetched, is the limiter. Non-blocking, so that counting and claiming are one step.
-- KEYS[1] log
-- ARGV[2] consumer  ARGV[3] address  ARGV[4] concurrency  ARGV[5] want
-- ARGV[6] jobs that this consumer has prefetched: in hand under its name, and no attempt at them has begun
-- ARGV[7] jobs that it would like to have prefetched afterwards; it gets as many only where twice the concurrency waits behind them,
--   so that others find work, none where no attempt of its own is under way that will make way for them, and none in a queue
--   with a rate limit or a limit for each key, where a claim takes the token or the slot
-- ARGV[8] how many attempts of this consumer are under way
-- Returns {'claimed', now ms, ids of jobs that had expired, how many attempts may begin now, lane, jobs, lane, jobs...}, the
--   oldest of the prefetched ones first, with jobs = the elements of the lane (prelude.lua), large payloads in their places;
--   {'empty'} nothing ready, the queue is marked idle and the next enqueue publishes a wake-up, or it is closed,
--   which its claimers may not have heard yet; {'full'} at the limit, and nothing to prefetch;
--   {'paused'}; {'limited', ms} the rate limit gives the next token in so many ms; {'fenced'} the consumer's lease is gone.
-- A dispatcher that dies with the answer on its way leaves the jobs in hand under its name: take_over finds them.
local consumer, address, limit, want = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local prefetched, prefetch, under_way = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if not holds_lease(consumer) then return { 'fenced' } end
local counted = redis.call('HMGET', counts_key(address), 'closed', 'claimed', 'gone')
if counted[1] then return { 'empty' } end
if redis.call('HEXISTS', TAG .. ':paused', address) == 1 then return { 'paused' } end

local had = redis.call('HLEN', in_hand_key(address))
local running = had
if limit - running < want or prefetched > 0 then
  -- What this consumer says now is newer than what it said last.
  note_prefetched(address, consumer, prefetched)
  local in_hand, ahead = in_hand_of(address)
  running = in_hand - ahead
end
local starts = math.max(0, math.min(limit - running, want))

-- How many elements its lanes have, and how many of them are holes.
local lengths, gone = {}, tonumber(counted[3] or 0)
for _, lane in ipairs(LANES) do lengths[lane] = redis.call('LLEN', lane_key(address, lane)) end

local limits = limits_of(address)
-- Beyond the limit, which was lowered, nobody may go on with what it has prefetched once that is used up.
if prefetch > 0 and running <= limit and (starts > 0 or under_way > 0) and not (limits and (limits.rate or limits.keyConcurrency)) then
  prefetch = math.max(0, math.min(prefetch, lengths.high + lengths.normal + lengths.low - gone - starts - 2 * limit))
else
  prefetch = 0
end
-- How many entries to take from the lanes.
local free = starts + prefetch - prefetched
if starts == 0 and free <= 0 then return { 'full' } end

local now = now_ms()
local ns, queue = split_address(address)
-- Jobs that were taken from where they waited and not started.
local passed = 0
local expired = {}
local reply = { 'claimed', now, expired, 0 }
local claimed = 0

local queue_bucket
if limits and limits.rate then
  queue_bucket = bucket(limits.rate, TAG .. ':rate:' .. address, now)
  if queue_bucket.tokens < 1 then return { 'limited', queue_bucket.wait } end
  free = math.min(free, queue_bucket.tokens)
end

local started = facts_of('job', 'job.started', ns, queue)
-- What the log says of a job: the first ones may begin now, the others are prefetched.
local by_consumer = ',"consumer":"' .. consumer .. '"}'
local by_ahead = ',"consumer":"' .. consumer .. '","prefetched":true}'
local first_start, first_ahead = '{"attempt":1,"epoch":1' .. by_consumer, '{"attempt":1,"epoch":1' .. by_ahead
local begins = starts - prefetched

-- A job that is more than a payload: it may have expired, or free its unique key by starting. What the claimer gets of it; nil when
-- it does not start.
local function start(lane, entry)
  local meta, digits = decode_meta(entry.meta), entry.digits
  if meta.expiresAtMs and meta.expiresAtMs <= now then
    local job = named(entry)
    count(address, 'expired', 1)
    append('job', 'job.expired', ns, queue, job, '{"expiresAtMs":' .. whole(meta.expiresAtMs) .. '}')
    release_all(address, job, entry.meta)
    forget_payloads(address, lane, { digits })
    expired[#expired + 1] = job
    passed = passed + 1
    return nil
  end
  -- It was in its lane before the queue had this limit.
  if limits and limits.keyConcurrency and meta.key and not take_slot(address, named(entry), meta.key, limits) then
    local data = payload_of(address, lane, digits, entry.data)
    hold_job(address, lane, '*', named(entry), entry.attempt, entry.epoch, entry.meta, data, meta.key, limits)
    forget_payloads(address, lane, { digits })
    passed = passed + 1
    return nil
  end
  if meta.unique and meta.unique.mode == 'until_started' then release_unique(address, named(entry), meta.unique) end
  started.add(entry.job == '' and digits or entry.job,
    '{"attempt":' .. entry.attempt + 1 .. ',"epoch":' .. entry.epoch + 1 .. (begins > 0 and by_consumer or by_ahead))
  begins = begins - 1
  put_in_hand(address, lane, consumer, entry, 1)
  entry.data = payload_of(address, lane, digits, entry.data)
  return element_of(entry)
end

local function take(lane, n)
  if n <= 0 or lengths[lane] == 0 then return end
  local elements = redis.call('LRANGE', lane_key(address, lane), '0', n - 1)
  if #elements == 0 then return end
  -- What starts moves up in the list to make the reply.
  local by, plain, n_kept, n_plain, holes, n_taken = in_hand_field('', lane, consumer), {}, 0, 0, 0, #elements
  for i = 1, n_taken do
    local element = elements[i]
    local first = string.byte(element, BEHIND_PLACE)
    if first == AT then
      element = start(lane, parse_element(element))
    elseif not first then
      element, holes = nil, holes + 1
    else
      local digits = string.sub(element, 1, DIGITS)
      started.add(digits, begins > 0 and first_start or first_ahead)
      begins = begins - 1
      plain[n_plain + 1], plain[n_plain + 2] = digits .. by, element
      n_plain = n_plain + 2
      if first == AMPERSAND then element = digits .. payload_of(address, lane, digits, ELSEWHERE) end
    end
    if element then
      n_kept = n_kept + 1
      elements[n_kept] = element
    end
  end
  for i = n_kept + 1, n_taken do elements[i] = nil end
  if n_plain > 0 then redis.call('HSET', in_hand_key(address), unpack(plain)) end
  -- Last, so that a script which fails half way loses nothing.
  gone = gone - shorten(address, lane, n_taken, holes, gone)
  if n_kept == 0 then return end
  claimed = claimed + n_kept
  reply[#reply + 1] = lane
  reply[#reply + 1] = elements
end

-- The guard against starvation: of every sixteen starts one is offered to `low` first and one to `normal` first.
-- `claimed` counts the starts, so the share is exact whether claims take one job or hundreds.
local function take_by_lane()
  local before = tonumber(counted[2] or 0)
  local only = math.max(lengths.high, lengths.normal, lengths.low)
  -- All that waits is in one lane, as it mostly is: it is taken in one go.
  if only == lengths.high + lengths.normal + lengths.low then
    for _, lane in ipairs(LANES) do take(lane, free) end
    return
  end
  take('low', math.floor((before + free) / 16) - math.floor(before / 16))
  take('normal', math.min(free - claimed, math.floor((before + free + 8) / 16) - math.floor((before + 8) / 16)))
  for _, lane in ipairs(LANES) do take(lane, free - claimed) end
end

if limits and limits.keyConcurrency then
  -- What is in a lane already goes first: retries and redriven jobs that kept their key's slot, and whatever was there
  -- before the queue had lines.
  for _, lane in ipairs(LANES) do take(lane, free - claimed) end

  -- Serve the next key in turn: the oldest job behind it starts. False when no key may be served.
  local function serve_key(kept)
    local key = redis.call('ZPOPMIN', ring_key(address))[1]
    if not key then return false end
    local rate = limits.keyRate and key ~= '' and bucket(limits.keyRate, TAG .. ':rate:' .. address .. ':' .. key, now)
    if rate and rate.tokens < 1 then
      set_due('key:' .. address .. '\n' .. key, whole(now + rate.wait))
      return true
    end
    local held = redis.call('XRANGE', held_key(address, key), '-', '+', 'COUNT', 1)[1]
    if not held then return true end
    local entry = parse_held(held[2])
    local job = entry.job == '' and job_id(held[1]) or entry.job
    -- No slot: the limit was lowered since the key got its turn.
    if key ~= '' and not take_slot(address, job, key, limits) then return true end
    local digits = digits_of(job)
    entry.job, entry.digits, entry.place = job, digits, digits_of_position(held[1])
    entry.data = put_payload(address, 'normal', digits, entry.data)
    note_place(address, 'normal', job, entry.place)
    kept[#kept + 1] = start('normal', entry)
    drop_held(address, key, held[1])
    if rate then rate.spend(1) end
    enter_ring(address, key, limits)
    return true
  end

  local kept = {}
  for _ = claimed + 1, free do
    if not serve_key(kept) then break end
  end
  if #kept > 0 then
    claimed = claimed + #kept
    reply[#reply + 1] = 'normal'
    reply[#reply + 1] = kept
  end
else
  take_by_lane()
end

-- A small hash is a list to Redis, which it looks through from the beginning each time: up to 128 fields, if none is longer than 64
-- bytes. A longer one makes it a table for as long as anything is in it: 69,500 to 56,700 instructions for a claim and a settle, where
-- payloads are small, batches are of 40 and a hundred jobs are in hand.
local FEW = 16
if had < FEW and had + claimed >= FEW then
  local long_field = string.rep('.', 65)
  redis.call('HSET', in_hand_key(address), long_field, '')
  redis.call('HDEL', in_hand_key(address), long_field)
end

if queue_bucket then queue_bucket.spend(claimed) end
started.flush()
local ready = prefetched + claimed
starts = math.min(starts, ready)
reply[4] = starts
if prefetched > 0 or ready > starts then note_prefetched(address, consumer, ready - starts) end
if claimed > 0 then count(address, 'claimed', claimed) end
-- Entries that did not start made room for nothing: more may wait behind them, so ask again rather than go idle.
if claimed > 0 or starts > 0 or passed > 0 then return reply end
redis.call('SADD', TAG .. ':idle', address)
return { 'empty' }

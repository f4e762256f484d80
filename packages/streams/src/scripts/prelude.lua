-- What every script of a partition shares; put in front of each of them when it is loaded.
-- KEYS[1] is always the partition's log: `{pN}:log`. The other keys of the partition are made from its tag, so every
-- script touches one hash slot. The key names here and those in keys.ts are one list (a test compares them).
-- ARGV[1] is always the partition's number in hex, three digits, for ids.
-- Returns nothing by itself: it only defines local functions. The loader puts a `#!lua` line with the script's flags on top.

local LOG = KEYS[1]
local TAG = string.sub(LOG, 1, -5)
local PARTITION = ARGV[1]
local LANES = { 'high', 'normal', 'low' }

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Append one fact to the log; its position is the answer. The log's own clock never steps back, so positions also
-- serve as the ids of lane entries: each is used once and they only rise.
local function append(kind, type, ns, queue, entity, data)
  return redis.call('XADD', LOG, '*', 'kind', kind, 'type', type, 'ns', ns, 'queue', queue, 'entity', entity, 'data', data)
end

-- `job_` + 11 hex digits of ms + 5 of sequence + partition; the same text as formatId in contracts.
local function job_id(position)
  local dash = string.find(position, '-', 1, true)
  return string.format('job_%011x%05x%s', tonumber(string.sub(position, 1, dash - 1)), tonumber(string.sub(position, dash + 1)), PARTITION)
end

local function lane_key(address, lane) return TAG .. ':q:' .. address .. ':' .. lane end
local function counts_key(address) return TAG .. ':counts:' .. address end
local function dead_key(address) return TAG .. ':dead:' .. address end

local function count(address, field, by) redis.call('HINCRBY', counts_key(address), field, by) end

local function split_address(address)
  local slash = string.find(address, '/', 1, true)
  return string.sub(address, 1, slash - 1), string.sub(address, slash + 1)
end

-- The five fields of a ready job. `job` is '' when the entry's own id is the job's id, which spares 23 bytes in each
-- waiting job that was never retried.
local function add_ready(address, lane, position, job, attempt, epoch, meta, data)
  redis.call('XADD', lane_key(address, lane), position, 'job', job, 'attempt', attempt, 'epoch', epoch, 'meta', meta, 'data', data)
end

local function parse_entry(fields)
  return { job = fields[2], attempt = tonumber(fields[4]), epoch = tonumber(fields[6]), meta = fields[8], data = fields[10] }
end

-- True between the closing of a queue and its next opening; a queue that was never opened is merely not open yet.
local function is_closed(address) return redis.call('HEXISTS', counts_key(address), 'closed') == 1 end

-- Wake the claimers of a queue that had found nothing. Only the first of many enqueues publishes.
local function wake_if_idle(address)
  if redis.call('SREM', TAG .. ':idle', address) == 1 then redis.call('PUBLISH', TAG .. ':wake', address) end
end

-- `+500` is so many ms from the server's now, anything else a time in ms.
local function due_time(due)
  if string.sub(due, 1, 1) == '+' then return string.format('%d', now_ms() + tonumber(string.sub(due, 2))) end
  return due
end

-- Park a job until a time. The header is one line of JSON, the payload follows untouched. Movers sleep until the head
-- of the due set, so only a new head is announced.
local function park(address, lane, due_ms, job, attempt, epoch, meta, data)
  local header = cjson.encode({ address = address, lane = lane, attempt = attempt, epoch = epoch, meta = meta })
  redis.call('HSET', TAG .. ':parked', job, header .. '\n' .. data)
  redis.call('ZADD', TAG .. ':due', due_ms, job)
  count(address, 'scheduled', 1)
  if redis.call('ZRANGE', TAG .. ':due', 0, 0)[1] == job then redis.call('PUBLISH', TAG .. ':wake', '@due') end
end

local function unpark(job)
  local body = redis.call('HGET', TAG .. ':parked', job)
  if not body then return nil end
  local newline = string.find(body, '\n', 1, true)
  local header = cjson.decode(string.sub(body, 1, newline - 1))
  header.data = string.sub(body, newline + 1)
  return header
end

-- A consumer may claim and take over only while its lease, judged by the server's clock, has not lapsed.
local function holds_lease(consumer)
  local lease_end = redis.call('ZSCORE', TAG .. ':consumers', consumer)
  return lease_end and tonumber(lease_end) > now_ms()
end

-- Bury a job: the dead letter, its index entry and the event. `last` is JSON of the last response.
local function bury(address, lane, job, entry, reason, last)
  local ns, queue = split_address(address)
  local id = redis.call('XADD', dead_key(address), '*', 'job', job, 'lane', lane, 'attempt', entry.attempt,
    'epoch', entry.epoch, 'meta', entry.meta, 'reason', reason, 'last', last, 'data', entry.data)
  redis.call('HSET', TAG .. ':dead-index', job, address .. ' ' .. id)
  count(address, 'dead', 1)
  append('job', 'job.dead_lettered', ns, queue, job, '{"attempts":' .. entry.attempt .. ',"reason":' .. cjson.encode(reason) .. '}')
end


-- What every script of a partition shares: the beginning of the library that all of them are loaded as (load.ts). Redis makes these
-- functions once, when it is given the library, and not at each call.
-- KEYS[1] is always the partition's log: `{pN}:log`. The other keys of the partition are made from its tag, so every
-- script touches one hash slot. The key names here and those in key-catalogue.ts are one list (a test compares them).
-- ARGV[1] is always the partition's number in hex, three digits, for ids.

-- What differs from call to call; `call` sets all of it, and nothing else here may.
local KEYS, ARGV, LOG, TAG, PARTITION
-- What a call has looked up, by address: why the queue takes no jobs, its limits, whether its claimers were woken; and by key, whether
-- there are large payloads. And what time it is.
local refusals, known_limits, woken, any_large, now

-- Do what a script does, as a call of it.
-- TRYAGAIN: while a cluster moves a slot key by key, its old node refuses every command on a key that it does not have, so the script
-- would end in the middle, with half of its writes done. A key that nobody ever makes is missing for certain: asking for it tells
-- before anything is written. It costs a microsecond or two, on a server without a cluster too.
local function call(script, keys, args)
  KEYS, ARGV = keys, args
  LOG, PARTITION = keys[1], args[1]
  TAG = string.sub(LOG, 1, -5)
  refusals, known_limits, woken, any_large, now = {}, {}, {}, {}, nil
  local probe = redis.pcall('EXISTS', TAG .. ':nothing')
  if type(probe) == 'table' then return redis.error_reply('TRYAGAIN the slot of ' .. TAG .. ' is being moved') end
  local reply = script()
  -- What was sent may be large, and is not to be kept until the next call.
  KEYS, ARGV = nil, nil
  return reply
end

local LANES = { 'high', 'normal', 'low' }

local function now_ms()
  if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  return now
end

-- Whole numbers as text: Lua would write large ones as 1.7e+12.
local function whole(number) return string.format('%d', number) end

local function split_position(position)
  local dash = string.find(position, '-', 1, true)
  return string.sub(position, 1, dash - 1), tonumber(string.sub(position, dash + 1))
end

-- The position right behind another.
local function next_position(position)
  local ms, seq = split_position(position)
  return ms .. '-' .. whole(seq + 1)
end

-- Whether a position is before another.
local function less(a, b)
  local a_ms, a_seq = split_position(a)
  local b_ms, b_seq = split_position(b)
  if tonumber(a_ms) ~= tonumber(b_ms) then return tonumber(a_ms) < tonumber(b_ms) end
  return a_seq < b_seq
end

-- While the server's clock is behind the log, because it was set back, all that is written gets the log's last millisecond and
-- its next sequence numbers. Ids have room for a million of them: long before that the log goes on with the next millisecond.
local LONGEST_POSITION = #'1767225600000-99999'
local function leave_room(position)
  if #position <= LONGEST_POSITION then return false end
  redis.call('XSETID', LOG, whole(tonumber((split_position(position))) + 1) .. '-0')
  return true
end

-- Append one fact to the log; its position is the answer. The log's own clock never steps back, so positions also
-- serve as ids of jobs and as places in lanes: each is used once and they only rise.
local function append(kind, type, ns, queue, entity, data)
  local position = redis.call('XADD', LOG, '*', kind, type, ns, queue, entity, data)
  leave_room(position)
  return position
end

-- An entry of the log is pairs: kind and type, namespace and queue, which are of all its facts, then entity and data of each: a hundred
-- facts of one type about one queue may stand in one entry. The entry's id is the position of its first fact; the others have the
-- sequence numbers behind it, which moving the log's last id keeps anybody else from getting.
-- Facts about schedules, and about jobs that are enqueued, may be about many queues: then `queue` is empty in the shared fields,
-- and the entity of each fact is the name of its queue.
-- Of a job that brings nothing but a payload, `job.enqueued` is its lane as the entity, and the payload as the data.
-- Readers, and scripts that look for one fact, take an entry whole: so its data have an end in bytes as well, and only a single
-- fact that is larger goes beyond it.
local MAX_FACTS, MAX_ENTRY_BYTES = 100, 65536
local SHARED_FIELDS, FIELDS_PER_FACT = 4, 2
local FULL_FIELDS = SHARED_FIELDS + MAX_FACTS * FIELDS_PER_FACT

-- The fields of an entry that was read. In one from before 0.1.0 each value has its name before it; without the names it is the same.
local function values_of(fields)
  if fields[1] ~= 'kind' then return fields end
  local values = {}
  for at = 2, #fields, 2 do values[#values + 1] = fields[at] end
  return values
end

-- Collects facts: `add(entity, data)`, then `flush()`. An entry that is full is written as soon as another fact comes.
-- `on_entry`, where there is one, is told of each entry that is written: the position of its first fact, and how many it has.
local function facts_of(kind, type, ns, queue, on_entry)
  local fields, n, bytes = { kind, type, ns, queue }, SHARED_FIELDS, 0
  local function flush()
    if n == SHARED_FIELDS then return end
    local position = redis.call('XADD', LOG, '*', unpack(fields, 1, n))
    local facts = (n - SHARED_FIELDS) / FIELDS_PER_FACT
    if not leave_room(position) and facts > 1 then
      local ms, seq = split_position(position)
      redis.call('XSETID', LOG, ms .. '-' .. whole(seq + facts - 1))
    end
    n, bytes = SHARED_FIELDS, 0
    if on_entry then on_entry(position, facts) end
  end
  local function add(entity, data)
    bytes = bytes + #data
    if n == FULL_FIELDS or bytes > MAX_ENTRY_BYTES then
      flush()
      bytes = #data
    end
    fields[n + 1], fields[n + 2] = entity, data
    n = n + FIELDS_PER_FACT
  end
  return { add = add, flush = flush }
end

-- `job_` + 11 hex digits of ms + 5 of sequence + partition; the same text as formatId in contracts. The digits are the position as
-- text of one length, so they sort as positions do; within a partition they are enough to name a job.
local DIGITS = 16
local function digits_at(ms, seq) return string.format('%011x%05x', ms, seq) end
local function digits_of_position(position)
  local ms, seq = split_position(position)
  return digits_at(tonumber(ms), seq)
end
local function digits_of(job) return string.sub(job, 5, 4 + DIGITS) end
local function job_of(digits) return 'job_' .. digits .. PARTITION end
local function job_id(position) return job_of(digits_of_position(position)) end

local function job_ms(job) return tonumber(string.sub(job, 5, 15), 16) end
local function job_position(job) return whole(job_ms(job)) .. '-' .. whole(tonumber(string.sub(job, 16, 20), 16)) end

local function lane_key(address, lane) return TAG .. ':q:' .. address .. ':' .. lane end
local function held_key(address, key) return TAG .. ':held:' .. address .. ':' .. key end
local function counts_key(address) return TAG .. ':counts:' .. address end
local function dead_key(address) return TAG .. ':dead:' .. address end

local function count(address, field, by) redis.call('HINCRBY', counts_key(address), field, by) end

local function split_address(address)
  local slash = string.find(address, '/', 1, true)
  return string.sub(address, 1, slash - 1), string.sub(address, slash + 1)
end

local function decode_meta(meta) return meta ~= '' and cjson.decode(meta) or {} end

-- An entry of the line behind a key, as its fields.
local function parse_held(fields)
  return { job = fields[2], attempt = tonumber(fields[4]), epoch = tonumber(fields[6]), meta = fields[8], data = fields[10] }
end

-- A job's body while it is not in a lane: one line of JSON, then the payload untouched.
local function pack_body(body, data)
  return cjson.encode(body) .. '\n' .. data
end

local function unpack_body(text)
  local newline = string.find(text, '\n', 1, true)
  local body = cjson.decode(string.sub(text, 1, newline - 1))
  body.data = string.sub(text, newline + 1)
  return body
end

-- Entries of a stream between two ids, oldest first, `limit` at most: `visit(entry)` may end it by answering true. They are read
-- a few at a time, because payloads may be large and a script holds what it has read in memory.
local PORTION = 20
local function each_entry(key, from, to, limit, visit)
  while limit > 0 do
    local wanted = math.min(limit, PORTION)
    local entries = redis.call('XRANGE', key, from, to, 'COUNT', wanted)
    for _, entry in ipairs(entries) do
      if visit(entry) then return end
    end
    if #entries < wanted then return end
    from, limit = '(' .. entries[#entries][1], limit - #entries
  end
end

-- Why a queue takes no new jobs, as the reply of an enqueue: {'closed', ''} between its closing and its next opening (one that
-- was never opened is merely not open yet), {'draining', JSON of by whom}; false when it takes them.
local function refusal_of(address)
  if refusals[address] == nil then
    local state = redis.call('HMGET', counts_key(address), 'closed', 'draining')
    refusals[address] = state[1] and { 'closed', '' } or state[2] and { 'draining', state[2] } or false
  end
  return refusals[address]
end

local function is_closed(address)
  local refusal = refusal_of(address)
  return refusal and refusal[1] == 'closed'
end

-- Wake the claimers of a queue that had found nothing. Only the first of many enqueues publishes.
local function wake_if_idle(address)
  if woken[address] then return end
  woken[address] = true
  if redis.call('SREM', TAG .. ':idle', address) == 1 then redis.call('PUBLISH', TAG .. ':wake', address) end
end

-- `+500` is so many ms from the server's now, anything else a time in ms.
local function due_time(due)
  if string.sub(due, 1, 1) == '+' then return whole(now_ms() + tonumber(string.sub(due, 2))) end
  return due
end

-- Put a member into the due set. Movers sleep until the head of the set, so only a new head is announced.
local function set_due(member, due_ms)
  redis.call('ZADD', TAG .. ':due', due_ms, member)
  if redis.call('ZRANGE', TAG .. ':due', 0, 0)[1] == member then redis.call('PUBLISH', TAG .. ':wake', '@due') end
end

-- Park a job until a time.
local function park(address, lane, due_ms, job, attempt, epoch, meta, data)
  local body = { address = address, lane = lane, attempt = tonumber(attempt), epoch = tonumber(epoch), meta = meta }
  redis.call('HSET', TAG .. ':parked', job, pack_body(body, data))
  set_due(job, due_ms)
  count(address, 'scheduled', 1)
end

local function unpark(job)
  local text = redis.call('HGET', TAG .. ':parked', job)
  return text and unpack_body(text)
end

-- A consumer may claim and take over only while its lease, judged by the server's clock, has not lapsed.
local function holds_lease(consumer)
  local lease_end = redis.call('ZSCORE', TAG .. ':consumers', consumer)
  return lease_end and tonumber(lease_end) > now_ms()
end


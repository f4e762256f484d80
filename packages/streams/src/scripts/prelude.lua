-- What every script of a partition shares: the beginning of the library that all of them are loaded as (load.ts). Redis makes these
-- functions once, when it is given the library, and not at each call.
-- KEYS[1] is always the partition's log: `{pN}:log`. The other keys of the partition are made from its tag, so every
-- script touches one hash slot. The key names here and those in key-catalogue.ts are one list (a test compares them).
-- ARGV[1] is always the partition's number in hex, three digits, for ids.

-- What differs from call to call; `call` sets all of it, and nothing else here may.
local KEYS, ARGV, LOG, TAG, PARTITION
-- What a call has looked up, by address: why the queue takes no jobs, its limits, whether its claimers were woken; and by key, whether
-- there are large payloads.
local refusals, known_limits, woken, any_large

-- Do what a script does, as a call of it.
-- TRYAGAIN: while a cluster moves a slot key by key, its old node refuses every command on a key that it does not have, so the script
-- would end in the middle, with half of its writes done. A key that nobody ever makes is missing for certain: asking for it tells
-- before anything is written. It costs a microsecond or two, on a server without a cluster too.
local function call(script, keys, args)
  KEYS, ARGV = keys, args
  LOG, PARTITION = keys[1], args[1]
  TAG = string.sub(LOG, 1, -5)
  refusals, known_limits, woken, any_large = {}, {}, {}, {}
  local probe = redis.pcall('EXISTS', TAG .. ':nothing')
  if type(probe) == 'table' then return redis.error_reply('TRYAGAIN the slot of ' .. TAG .. ' is being moved') end
  local reply = script()
  -- What was sent may be large, and is not to be kept until the next call.
  KEYS, ARGV = nil, nil
  return reply
end

local LANES = { 'high', 'normal', 'low' }

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
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
-- serve as the ids of lane entries: each is used once and they only rise.
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

-- `job_` + 11 hex digits of ms + 5 of sequence + partition; the same text as formatId in contracts.
local function id_of(kind, position)
  local ms, seq = split_position(position)
  return string.format('%s_%011x%05x%s', kind, tonumber(ms), seq, PARTITION)
end
local function job_id(position) return id_of('job', position) end

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

local function parse_entry(fields)
  if #fields == 2 then return { job = '', attempt = 0, epoch = 0, meta = '', data = fields[2] } end
  if #fields == 4 then return { job = '', attempt = 0, epoch = 0, meta = fields[2], data = fields[4] } end
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

-- A large payload lies beside its lane, by entry id, from when its job is ready until the job goes elsewhere; `&` stands for it in the
-- lane and in hand. So a claim moves a character and not the payload, which Redis would write into its file once more: in turns, push got
-- the same done with payloads of 1,800 bytes, an eighth more with 3,500, and nearly half more with 30,000.
-- Nothing that is stored as a payload begins with it.
local LARGE, ELSEWHERE = 1500, '&'
local function large_key(address, lane) return TAG .. ':large:' .. address .. ':' .. lane end
local function payload_of(address, lane, entry_id, data)
  if data ~= ELSEWHERE then return data end
  return redis.call('HGET', large_key(address, lane), entry_id) or '"the payload is gone"'
end
-- These entries of a lane are neither there any more nor in hand.
local function forget_payloads(address, lane, entry_ids)
  local key = large_key(address, lane)
  if any_large[key] == nil then any_large[key] = redis.call('EXISTS', key) == 1 end
  if any_large[key] then redis.call('HDEL', key, unpack(entry_ids)) end
end

-- A ready job as an entry of its lane. One that was never tried and brings nothing but its payload has the one field
-- `data`, and the entry's own id is its id: that is most of them, and every field is paid for at each step. Where there is more to
-- say of it, it has `meta` as well. Others have five fields; `job` is '' where the entry's id is the job's. Any other place is noted, so that a command on the job's id finds it.
-- Positions of the log rise, and so do lane entries made from them; an entry whose id was made by the lane itself ('*')
-- may be ahead of the log within one millisecond, and then the lane makes the next id as well.
local function add_ready(address, lane, position, job, attempt, epoch, meta, data)
  local key = lane_key(address, lane)
  local id
  local is_new, is_large = job == '' and epoch == 0, #data > LARGE
  local here = is_large and ELSEWHERE or data
  if is_new and meta == '' then
    id = redis.pcall('XADD', key, position, 'data', here)
  elseif is_new then
    id = redis.pcall('XADD', key, position, 'meta', meta, 'data', here)
  else
    id = redis.pcall('XADD', key, position, 'job', job, 'attempt', attempt, 'epoch', epoch, 'meta', meta, 'data', here)
  end
  if type(id) == 'table' then
    if job == '' then job = job_id(position) end
    id = redis.call('XADD', key, '*', 'job', job, 'attempt', attempt, 'epoch', epoch, 'meta', meta, 'data', here)
  end
  if is_large then
    any_large[large_key(address, lane)] = true
    redis.call('HSET', large_key(address, lane), id, data)
  end
  if job ~= '' then redis.call('HSET', TAG .. ':places', job, 'lane ' .. address .. ' ' .. lane .. ' ' .. id) end
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


-- Put the events of one log that subscriptions of this partition match into their queues, and move the cursor of that log,
-- in one step. The log may be another partition's: the cursor of each log is kept here, beside the queues, so that both
-- change together, and each matching event becomes one job, whoever routes it and wherever that one dies.
-- KEYS[1] log (of the partition that the subscriptions live in)
-- ARGV[2] number of the partition whose log it is  ARGV[3] position of its cursor  ARGV[4] position that it moves to
-- ARGV[5] how many entries lie between  ARGV[6] revision of the registry that the matches were made by
-- ARGV[7] '' for the common cursor, else the address of the subscription that reads on its own
-- ARGV[8] so many jobs may wait in a subscription's queue; one that has more falls behind and reads on its own later
-- then per event: event id, position, CloudEvent JSON, how many jobs; and for each of these: address, meta JSON or ''
-- Returns {'routed', jobs put in, jobs left to subscriptions that are behind}; {'moved', position} the cursor is elsewhere;
--   {'stale', revision} subscriptions have changed since; {'full'} the one that reads on its own has enough.
-- A subscription without a cursor of its own in `behind` goes with the common one. With one it gets what lies behind its own
--   cursor, and goes with the common one again as soon as nothing lies between the two.
local source, from, to, entries, revision = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local alone, limit = ARGV[7], tonumber(ARGV[8])
local routed, behind = TAG .. ':routed', TAG .. ':behind'

local known_revision = tonumber(redis.call('HGET', routed, 'revision') or 0)
if known_revision > revision then return { 'stale', whole(known_revision) } end

local function less(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if tonumber(a_ms) ~= tonumber(b_ms) then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_seq) < tonumber(b_seq)
end

local cursors = {}
local function cursor_of(address)
  if cursors[address] == nil then
    local text = redis.call('HGET', behind, address .. ' ' .. source)
    if text then
      local at, again = string.match(text, '^(%S+) ?(.*)$')
      cursors[address] = { at = at, again = again, late = less(at, from) }
    else
      cursors[address] = false
    end
  end
  return cursors[address]
end

local function waiting(address)
  local counted = redis.call('HMGET', counts_key(address), 'scheduled', 'held')
  return redis.call('XLEN', lane_key(address, 'normal')) + tonumber(counted[1] or 0) + tonumber(counted[2] or 0)
end

if alone == '' then
  local current = redis.call('HGET', routed, source) or ''
  if current ~= from then return { 'moved', current } end
else
  local cursor = cursor_of(alone)
  if not cursor or cursor.at ~= from then return { 'moved', cursor and cursor.at or '' } end
  if #ARGV > 8 and waiting(alone) >= limit then return { 'full' } end
end

local put_in, left = 0, 0
local accepted = {}
-- How many wait in the queue of a subscription, and the last event that it got.
local waits, last = {}, {}

-- Whether a subscription gets this event now.
local function takes(address, position)
  local cursor = cursor_of(address)
  if alone ~= '' then return true end
  if cursor then return not cursor.late and less(cursor.at, position) end
  waits[address] = waits[address] or waiting(address)
  if waits[address] < limit then
    waits[address] = waits[address] + 1
    last[address] = position
    return true
  end
  local at = last[address] or from
  redis.call('HSET', behind, address .. ' ' .. source, at)
  cursors[address] = { at = at, again = '', late = true }
  return false
end

local function put(address, event, position, meta, data)
  local cursor = cursors[address]
  if cursor and cursor.again ~= '' and not less(cursor.again, position) then
    meta = meta == '' and '{"replay":"moved"}' or string.sub(meta, 1, -2) .. ',"replay":"moved"}'
  end
  local ns, queue = split_address(address)
  local noted = '{"lane":"normal","event":"' .. event .. '"' .. (meta ~= '' and ',"meta":' .. meta or '') .. '}'
  make_ready(address, 'normal', append('job', 'job.enqueued', ns, queue, '', noted), '', 0, 0, meta, data)
  accepted[address] = (accepted[address] or 0) + 1
  put_in = put_in + 1
end

local i = 9
while i <= #ARGV do
  local event, position, data, jobs = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  i = i + 4
  for _ = 1, jobs do
    local address, meta = ARGV[i], ARGV[i + 1]
    i = i + 2
    -- A closed queue is one whose subscription is gone.
    if takes(address, position) and not is_closed(address) then
      put(address, event, position, meta, data)
    else
      left = left + 1
    end
  end
end
for address, n in pairs(accepted) do count(address, 'accepted', n) end

if alone == '' then
  redis.call('HSET', routed, source, to)
  redis.call('HINCRBY', routed, source .. ':read', entries)
  -- Those that were ahead and are passed now go with the common cursor.
  for address, cursor in pairs(cursors) do
    if cursor and not cursor.late and not less(to, cursor.at) then redis.call('HDEL', behind, address .. ' ' .. source) end
  end
elseif redis.call('HGET', routed, source) == to then
  redis.call('HDEL', behind, alone .. ' ' .. source)
else
  local again = cursors[alone].again
  redis.call('HSET', behind, alone .. ' ' .. source, again == '' and to or to .. ' ' .. again)
end
return { 'routed', put_in, left }

-- Put the events of one log that subscriptions of this partition match into their queues, and move the cursor of that log,
-- in one step. The log may be another partition's: the cursor of each log is kept here, beside the queues, so that both
-- change together, and each matching event becomes one job, whoever routes it and wherever that one dies.
-- KEYS[1] log (of the partition that the subscriptions live in)
-- ARGV[2] number of the partition whose log it is  ARGV[3] position of its cursor  ARGV[4] position that it moves to
-- ARGV[5] how many entries lie between  ARGV[6] revision of the registry that the matches were made by
-- ARGV[7] '' for the common cursor, else the address of the subscription that reads on its own
-- ARGV[8] so many jobs may wait in a subscription's queue; one that has more falls behind and reads on its own later
-- ARGV[9] how many lists of addresses follow, each as its length and the addresses: events mostly go to the same few lists
-- then per event: event id, position, CloudEvent JSON, number of its list (from 1), 'meta' and for each address of the list
--   meta JSON or '', or 'plain' when no job has any
-- Returns {'routed', jobs put in, jobs left to subscriptions that are behind}; {'moved', position} the cursor is elsewhere;
--   {'stale', revision} subscriptions have changed since; {'full'} the one that reads on its own has enough. One that reads on
--   its own and gets enough in the middle has its cursor moved to the last event that it got, and the rest is left.
-- A subscription without a cursor of its own in `behind` goes with the common one. With one it gets what lies behind its own
--   cursor, and goes with the common one again as soon as nothing lies between the two.
local source, from, to, entries, revision = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local alone, limit = ARGV[7], tonumber(ARGV[8])
local routed, behind = TAG .. ':routed', TAG .. ':behind'

local known_revision = tonumber(redis.call('HGET', routed, 'revision') or 0)
if known_revision > revision then return { 'stale', whole(known_revision) } end

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

local waits = {}

-- A queue that takes nothing has no room: it is drained, or closed, because its subscription is gone and the router has not
-- heard of it, or is back and the queue not open yet. What comes meanwhile stays in the log.
local function has_room(address)
  if refusal_of(address) then return false end
  waits[address] = waits[address] or waiting_in(address)
  return waits[address] < limit
end

if alone == '' then
  local current = redis.call('HGET', routed, source) or ''
  if current ~= from then return { 'moved', current } end
else
  local cursor = cursor_of(alone)
  if not cursor or cursor.at ~= from then return { 'moved', cursor and cursor.at or '' } end
  if #ARGV > 9 and not has_room(alone) then return { 'full' } end
end

local put_in, left = 0, 0
-- The last event that a subscription got, and whether the one that reads on its own has got enough.
local last, enough = {}, false

-- Whether a subscription gets this event now. One that does not, for want of room, gets none behind it either: else it would
-- get them out of order, and no cursor could say which it has.
local function takes(address, position)
  local cursor = cursor_of(address)
  if alone == '' and cursor and (cursor.late or not less(cursor.at, position)) then return false end
  if not enough and has_room(address) then
    waits[address] = waits[address] + 1
    last[address] = position
    return true
  end
  if alone ~= '' then
    enough = true
  else
    local at, again = last[address] or cursor and cursor.at or from, cursor and cursor.again or ''
    redis.call('HSET', behind, address .. ' ' .. source, again == '' and at or at .. ' ' .. again)
    cursors[address] = { at = at, again = again, late = true }
  end
  return false
end

-- The jobs of one subscription: their facts stand together in the log, and the place of each in it is its id.
local function jobs_of(address)
  local ns, queue = split_address(address)
  local key, limits, jobs, next_job = lane_key(address, 'normal'), limits_of(address), {}, 1
  local by_key = limits and limits.keyConcurrency
  local facts = facts_of('job', 'job.enqueued', ns, queue, function(position, n)
    local ms, seq = split_position(position)
    for i = 0, n - 1 do
      local id, meta, data = ms .. '-' .. whole(seq + i), jobs[next_job], jobs[next_job + 1]
      next_job = next_job + 2
      if by_key then
        make_ready(address, 'normal', id, '', 0, 0, meta, data)
      else
        add_ready(address, 'normal', id, '', 0, 0, meta, data)
      end
    end
  end)
  local function add(noted, meta, data)
    jobs[#jobs + 1] = meta
    jobs[#jobs + 1] = data
    facts.add('', meta == '' and noted .. '}' or noted .. ',"meta":' .. meta .. '}')
  end
  local function finish()
    facts.flush()
    wake_if_idle(address)
    count(address, 'accepted', #jobs / 2)
  end
  return { add = add, finish = finish }
end

-- What a subscription gets again, up to where it was, is marked.
local function marked(address, position, meta)
  local cursor = cursors[address]
  if not cursor or cursor.again == '' or less(cursor.again, position) then return meta end
  return meta == '' and '{"replay":"moved"}' or string.sub(meta, 1, -2) .. ',"replay":"moved"}'
end

local lists, i = {}, 10
for list = 1, tonumber(ARGV[9]) do
  local addresses = { unpack(ARGV, i + 1, i + tonumber(ARGV[i])) }
  lists[list], i = addresses, i + 1 + #addresses
end

local jobs = {}
while i <= #ARGV do
  local position, data, list = ARGV[i + 1], ARGV[i + 2], lists[tonumber(ARGV[i + 3])]
  local noted = '{"lane":"normal","event":"' .. ARGV[i] .. '"'
  local with_meta = ARGV[i + 4] == 'meta'
  i = i + 5
  for nth, address in ipairs(list) do
    if takes(address, position) then
      jobs[address] = jobs[address] or jobs_of(address)
      jobs[address].add(noted, marked(address, position, with_meta and ARGV[i + nth - 1] or ''), data)
      put_in = put_in + 1
    else
      left = left + 1
    end
  end
  if with_meta then i = i + #list end
end
for _, of_one in pairs(jobs) do of_one.finish() end

if alone == '' then
  redis.call('HSET', routed, source, to)
  redis.call('HINCRBY', routed, source .. ':read', entries)
  -- Those that were ahead and are passed now go with the common cursor.
  for address, cursor in pairs(cursors) do
    if cursor and not cursor.late and not less(to, cursor.at) then redis.call('HDEL', behind, address .. ' ' .. source) end
  end
  return { 'routed', put_in, left }
end
if enough then to = last[alone] end
if redis.call('HGET', routed, source) == to then
  redis.call('HDEL', behind, alone .. ' ' .. source)
else
  local again = cursors[alone].again
  redis.call('HSET', behind, alone .. ' ' .. source, again == '' and to or to .. ' ' .. again)
end
return { 'routed', put_in, left }

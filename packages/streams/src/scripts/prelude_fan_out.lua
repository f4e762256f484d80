-- Putting events of a log into the queues of subscriptions, and moving the cursor of that log with them; for the scripts that do.
-- The log may be another partition's: the cursor of each log is kept here, beside the queues, so that both change together, and
-- each matching event becomes one job, whoever routes it and wherever that one dies.
-- KEYS[1], ARGV[1] as everywhere. ARGV[2..8] as in fan_out.lua. Put behind the other preludes where a script asks for it. Returns
-- nothing by itself.
-- A subscription without a cursor of its own in `behind` goes with the common one. With one it gets what lies behind its own
--   cursor, and goes with the common one again as soon as nothing lies between the two.
local source, from, entries, revision = ARGV[2], ARGV[3], ARGV[5], tonumber(ARGV[6])
local alone, limit = ARGV[7], tonumber(ARGV[8])
local routed, behind = TAG .. ':routed', TAG .. ':behind'

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

-- Why nothing can be put in, as a reply; nil when it can.
local function refusal_of_call(wants_room)
  local known_revision = tonumber(redis.call('HGET', routed, 'revision') or 0)
  if known_revision > revision then return { 'stale', whole(known_revision) } end
  if alone == '' then
    local current = redis.call('HGET', routed, source) or ''
    if current ~= from then return { 'moved', current } end
  else
    local cursor = cursor_of(alone)
    if not cursor or cursor.at ~= from then return { 'moved', cursor and cursor.at or '' } end
    if wants_room and not has_room(alone) then return { 'full' } end
  end
  return nil
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
    local elements = {}
    for i = 0, n - 1 do
      local meta, data = jobs[next_job], jobs[next_job + 1]
      next_job = next_job + 2
      if by_key then
        make_ready(address, 'normal', ms .. '-' .. whole(seq + i), '', 0, 0, meta, data)
      else
        local place = digits_at(tonumber(ms), seq + i)
        local here = put_payload(address, 'normal', place, data)
        elements[i + 1] = element_of({ place = place, job = '', attempt = 0, epoch = 0, meta = meta, data = here })
      end
    end
    if not by_key then redis.call('RPUSH', key, unpack(elements)) end
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

local jobs = {}
local function put(address, event_id, position, meta, data)
  if not takes(address, position) then
    left = left + 1
    return
  end
  jobs[address] = jobs[address] or jobs_of(address)
  jobs[address].add('{"lane":"normal","event":"' .. event_id .. '"', marked(address, position, meta), data)
  put_in = put_in + 1
end

-- Write what was put in, and move the cursor; the reply.
local function finish(to)
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
end

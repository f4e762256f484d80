-- Bring what an earlier version left in a partition into the layout of this one. Doing it again does nothing.
-- KEYS[1] log   ARGV[2] layout
-- Returns how many jobs were moved.
-- Before layout 3 a job that was claimed stayed in its lane, pending in a consumer group: it goes where claims put it now, under the
-- name of whoever had it, and the group goes. Before layout 5 lanes were streams, and what was in hand had the id of its entry there.
-- One script raises all of a partition: no claim sees half of it.
local ALL, AT_ONCE = 1000000, 500
local stored = TAG .. ':layout'
local moved = 0
local layout = tonumber(redis.call('GET', stored) or 0)
if layout >= 5 then return moved end

-- The place behind all of these is free in the log as well.
local furthest = '0-0'

local function has_group(lane)
  local groups = redis.pcall('XINFO', 'GROUPS', lane)
  for _, group in ipairs(groups.err and {} or groups) do
    if group[2] == 'dispatch' then return true end
  end
  return false
end

-- An entry of a lane as it was: `data`; `meta` and `data`; or job, attempt, epoch, meta and data.
local function entry_of(entry_id, fields)
  local entry = { job = '', attempt = 0, epoch = 0, meta = '' }
  for at = 1, #fields, 2 do entry[fields[at]] = fields[at + 1] end
  entry.attempt, entry.epoch = tonumber(entry.attempt), tonumber(entry.epoch)
  entry.place = digits_of_position(entry_id)
  entry.digits = entry.job == '' and entry.place or digits_of(entry.job)
  return entry
end

-- What lies beside a lane has the digits of its job now, and where a moved job is, is noted anew.
local function rename(address, lane, entry_id, entry)
  if less(furthest, entry_id) then furthest = entry_id end
  local key = large_key(address, lane)
  local large = entry.data == ELSEWHERE and redis.call('HGET', key, entry_id)
  if large then
    redis.call('HSET', key, entry.digits, large)
    redis.call('HDEL', key, entry_id)
  end
  if entry.job ~= '' then note_place(address, lane, entry.job, entry.place) end
end

local function raise_pending(address, lane)
  local key = lane_key(address, lane)
  if not has_group(key) then return end
  for _, pending in ipairs(redis.call('XPENDING', key, 'dispatch', '-', '+', ALL)) do
    local entry_id, holder, holders = pending[1], pending[2], pending[4]
    local found = redis.call('XRANGE', key, entry_id, entry_id)[1]
    if found then
      local entry = entry_of(entry_id, found[2])
      put_in_hand(address, lane, holder, entry, holders)
      rename(address, lane, entry_id, entry)
      redis.call('XDEL', key, entry_id)
      moved = moved + 1
    end
  end
end

local function raise_lane(address, lane)
  local key = lane_key(address, lane)
  local list, from = key .. ':list', '-'
  if redis.call('TYPE', key).ok ~= 'stream' then return end
  repeat
    local entries, elements = redis.call('XRANGE', key, from, '+', 'COUNT', AT_ONCE), {}
    for i, found in ipairs(entries) do
      local entry = entry_of(found[1], found[2])
      elements[i] = element_of(entry)
      rename(address, lane, found[1], entry)
    end
    if #entries > 0 then
      redis.call('RPUSH', list, unpack(elements))
      from, moved = '(' .. entries[#entries][1], moved + #entries
    end
  until #entries < AT_ONCE
  if redis.call('EXISTS', list) == 1 then redis.call('RENAME', list, key) else redis.call('DEL', key) end
end

local function raise_hand(address)
  local key = in_hand_key(address)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local entry_id, lane, holder = string.match(field, '^(%d+%-%d+) (%S+) (.+)$')
    if entry_id then
      local entry = parse_element(digits_of_position(entry_id) .. redis.call('HGET', key, field))
      put_in_hand(address, lane, holder, entry, entry.holders)
      rename(address, lane, entry_id, entry)
      redis.call('HDEL', key, field)
      moved = moved + 1
    end
  end
end

for _, address in ipairs(redis.call('SMEMBERS', TAG .. ':queues')) do
  raise_hand(address)
  for _, lane in ipairs(LANES) do
    if layout < 3 then raise_pending(address, lane) end
    raise_lane(address, lane)
  end
end

-- An entry that its lane named itself could be ahead of the log by a moment: places only rise if the log goes on behind it.
local info = furthest == '0-0' and {} or redis.pcall('XINFO', 'STREAM', LOG)
for at = 1, #info, 2 do
  if info[at] == 'last-generated-id' and less(info[at + 1], furthest) then redis.call('XSETID', LOG, furthest) end
end
redis.call('DEL', TAG .. ':robbed')
redis.call('SET', stored, ARGV[2])
return moved

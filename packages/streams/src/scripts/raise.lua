-- Bring what an earlier version left in a partition into the layout of this one. Doing it again does nothing.
-- KEYS[1] log   ARGV[2] layout
-- Returns how many jobs were moved.
-- Before layout 3 a job that was claimed stayed in its lane, pending in a consumer group: it goes where claims put it now, under the
-- name of whoever had it, and the group goes. Before layout 5 lanes were streams, and what was in hand had the id of its entry there.
-- One script raises all of a partition: no claim sees half of it.
local ALL = 1000000
local stored = TAG .. ':layout'
local moved = 0
local layout = tonumber(redis.call('GET', stored) or 0)
if layout >= 5 then return moved end

-- The place behind all of these is free in the log as well.
local furthest = '0-0'
local function be_behind(position)
  if less(furthest, position) then furthest = position end
end

local function has_group(lane)
  local groups = redis.pcall('XINFO', 'GROUPS', lane)
  for _, group in ipairs(groups.err and {} or groups) do
    if group[2] == 'dispatch' then return true end
  end
  return false
end

local function to_hand(address, lane, holder, entry_id, entry, holders)
  put_in_hand(address, lane, holder, entry, holders)
  rename(address, lane, entry_id, entry)
  be_behind(entry_id)
  moved = moved + 1
end

local function raise_pending(address, lane)
  local key = lane_key(address, lane)
  if not has_group(key) then return end
  for _, pending in ipairs(redis.call('XPENDING', key, 'dispatch', '-', '+', ALL)) do
    local entry_id, holder, holders = pending[1], pending[2], pending[4]
    local found = redis.call('XRANGE', key, entry_id, entry_id)[1]
    if found then
      local entry = entry_of(entry_id, found[2])
      to_hand(address, lane, holder, entry_id, entry, holders)
      redis.call('XDEL', key, entry_id)
    end
  end
end

local function raise_hand(address)
  local key = in_hand_key(address)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local entry_id, lane, holder = string.match(field, '^(%d+%-%d+) (%S+) (.+)$')
    if entry_id then
      local entry = parse_element(digits_of_position(entry_id) .. redis.call('HGET', key, field))
      to_hand(address, lane, holder, entry_id, entry, entry.holders)
      redis.call('HDEL', key, field)
    end
  end
end

for _, address in ipairs(redis.call('SMEMBERS', TAG .. ':queues')) do
  raise_hand(address)
  for _, lane in ipairs(LANES) do
    if layout < 3 then raise_pending(address, lane) end
    local raised, last = raise_lane(address, lane)
    moved = moved + raised
    be_behind(last)
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

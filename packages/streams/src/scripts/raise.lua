-- Bring what an earlier version left in a partition into the layout of this one. Doing it again does nothing.
-- KEYS[1] log   ARGV[2] layout
-- Returns how many jobs were moved.
-- Before layout 3 a job that was claimed stayed in its lane, pending in a consumer group: it goes where claims put it now, under the
-- name of whoever had it, and the group goes. One script moves all of a partition: no claim sees half of it.
local ALL = 1000000
local stored = TAG .. ':layout'
local moved = 0
if tonumber(redis.call('GET', stored) or 0) >= 3 then return moved end

local function has_group(lane)
  local groups = redis.pcall('XINFO', 'GROUPS', lane)
  for _, group in ipairs(groups.err and {} or groups) do
    if group[2] == 'dispatch' then return true end
  end
  return false
end

for _, address in ipairs(redis.call('SMEMBERS', TAG .. ':queues')) do
  for _, lane in ipairs(LANES) do
    local key = lane_key(address, lane)
    if has_group(key) then
      for _, pending in ipairs(redis.call('XPENDING', key, 'dispatch', '-', '+', ALL)) do
        local entry_id, holder, holders = pending[1], pending[2], pending[4]
        local found = redis.call('XRANGE', key, entry_id, entry_id)[1]
        if found then
          put_in_hand(address, in_hand_field(entry_id, lane, holder), parse_entry(found[2]), holders)
          redis.call('XDEL', key, entry_id)
          moved = moved + 1
        end
      end
      redis.call('XGROUP', 'DESTROY', key, 'dispatch')
    end
  end
end
redis.call('DEL', TAG .. ':robbed')
redis.call('SET', stored, ARGV[2])
return moved

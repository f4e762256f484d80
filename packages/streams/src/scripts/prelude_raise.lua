-- Making the lane of an earlier version one of this; for the scripts that do. Put behind the other preludes where a script asks for it.
-- KEYS[1], ARGV[1] as there. Returns nothing by itself.

local RAISED_AT_ONCE = 500

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
  local key = large_key(address, lane)
  local large = entry.data == ELSEWHERE and redis.call('HGET', key, entry_id)
  if large then
    redis.call('HSET', key, entry.digits, large)
    redis.call('HDEL', key, entry_id)
  end
  if entry.job ~= '' then note_place(address, lane, entry.job, entry.place) end
end

-- A lane that is a stream becomes a list. Returns how many jobs it has, and the id of its last entry.
local function raise_lane(address, lane)
  local key = lane_key(address, lane)
  local list, from, raised, last = key .. ':list', '-', 0, '0-0'
  if redis.call('TYPE', key).ok ~= 'stream' then return raised, last end
  repeat
    local entries, elements = redis.call('XRANGE', key, from, '+', 'COUNT', RAISED_AT_ONCE), {}
    for i, found in ipairs(entries) do
      local entry = entry_of(found[1], found[2])
      elements[i] = element_of(entry)
      rename(address, lane, found[1], entry)
    end
    if #entries > 0 then
      redis.call('RPUSH', list, unpack(elements))
      last, raised = entries[#entries][1], raised + #entries
      from = '(' .. last
    end
  until #entries < RAISED_AT_ONCE
  if redis.call('EXISTS', list) == 1 then redis.call('RENAME', list, key) else redis.call('DEL', key) end
  return raised, last
end

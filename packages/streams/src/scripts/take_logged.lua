-- Put the next events of this very log that a subscription asks for into its queue, and move its own cursor, in one step: what
-- `fan_out` does with events that the caller has read, for one that asks for types alone, so that none of them is sent to and fro.
-- KEYS[1] log
-- ARGV[2..8] as of fan_out; ARGV[4] and [5] are not looked at, ARGV[7] is the subscription's address
-- ARGV[9] so many events are enough  ARGV[10] types, a line each, with a line feed at either end  ARGV[11] beginnings of types, a
--   line each; both '' = all that services publish
-- Returns {'routed', jobs put in, jobs left for want of room, 1 when the log was read to its end}; {'moved', position}, {'stale',
--   revision}, {'full'} as fan_out; {'past'} what comes next may have been trimmed, {'choose'} the next event has a trace to pass
--   on, or is so large that it is to be packed: the caller has to read it.
local refused = refusal_of_call(true)
if refused then return refused end

-- Whether facts behind the cursor may be gone.
local function is_past()
  local info, fields = redis.call('XINFO', 'STREAM', LOG), {}
  for at = 1, #info, 2 do fields[info[at]] = info[at + 1] end
  if fields['entries-added'] == fields.length then return false end
  return fields.length == 0 or less(from, fields['recorded-first-entry-id'])
end
if redis.call('EXISTS', LOG) == 1 and is_past() then return { 'past' } end

-- As packPayload in payload.ts has it, in bytes instead of characters.
local PACKED_FROM = 4096
local function has_to_be_read(data)
  return #data >= PACKED_FROM or string.find(data, '"traceparent"', 1, true) ~= nil
end

local types, beginnings, known = ARGV[10], {}, {}
for beginning in string.gmatch(ARGV[11], '[^\n]+') do beginnings[#beginnings + 1] = beginning end
local function fits(type)
  if types == '' and #beginnings == 0 or is_among(types, type) then return true end
  for _, beginning in ipairs(beginnings) do
    if string.sub(type, 1, #beginning) == beginning then return true end
  end
  return false
end
local function is_asked_for(kind, type)
  if kind ~= 'event' then return false end
  if known[type] == nil then known[type] = fits(type) end
  return known[type]
end

-- What is read is read before anything is written: the facts of the new jobs go into this log as well.
local seen = look_on(from, '+', tonumber(ARGV[9]), is_asked_for)

-- The events that it asks for, until it has enough, or the caller has to look at one: the answer is that one's position.
local function put_all()
  local entries = seen.entries
  for at = 1, #entries, 2 do
    local ms, seq = split_position(entries[at])
    local fields = entries[at + 1]
    for nth = 0, facts_in(fields) - 1 do
      local position, data = ms .. '-' .. whole(seq + nth), fields[SHARED_FIELDS + nth * FIELDS_PER_FACT + 4]
      if less(from, position) then
        if has_to_be_read(data) then return position end
        put(alone, id_of('evt', position), position, '', data)
        if enough then return nil end
      end
    end
  end
  return nil
end
local stopped_at = put_all()
if stopped_at and put_in == 0 then return { 'choose' } end

local to, at_end = seen.through or from, seen.at_end and not stopped_at and not enough
if stopped_at then
  to = last[alone]
elseif at_end then
  -- Nothing lies between: it goes with the common cursor again.
  local common = redis.call('HGET', routed, source)
  if common and less(to, common) then to = common end
end
local reply = finish(to)
reply[4] = at_end and 1 or 0
return reply

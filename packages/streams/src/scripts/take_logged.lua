-- Put the next events of this very log that a subscription asks for into its queue, and move its own cursor, in one step: what
-- `fan_out` does with events that the caller has read, for one that asks for types alone, so that none of them is sent to and fro.
-- KEYS[1] log
-- ARGV[2..8] as of fan_out; ARGV[4] and [5] are not looked at, ARGV[7] is the subscription's address
-- ARGV[9] so many events are enough  ARGV[10], [11] what it asks for, as `by_type_alone` has it
-- Returns {'routed', jobs put in, jobs left for want of room, 1 when the log was read to its end,
--   the cursor}; {'moved', position}, {'stale',
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

-- What is read is read before anything is written: the facts of the new jobs go into this log as well.
local seen = look_on(from, '+', tonumber(ARGV[9]), by_type_alone(ARGV[10], ARGV[11]))

-- The events that it asks for, until there is no room, or the caller has to look at one, which is the answer then. Every
-- event that was missed comes by here, so nothing is worked out for each of them that can be for all of an entry.
local function put_all()
  local entries, job, room = seen.entries, jobs_of(alone), limit - waits[alone]
  for at = 1, #entries, 2 do
    local ms, seq = split_position(entries[at])
    local fields = entries[at + 1]
    local noted = '{"lane":"normal","event":"' .. string.format('evt_%011x', tonumber(ms))
    for nth = first_behind(from, entries[at], seq), facts_in(fields) - 1 do
      local data = fields[SHARED_FIELDS + nth * FIELDS_PER_FACT + 2]
      if has_to_be_read(data) then return true end
      if put_in == room then
        enough, left = true, 1
        return false
      end
      jobs[alone], put_in, last[alone] = job, put_in + 1, ms .. '-' .. seq + nth
      job.add(noted .. string.format('%05x', seq + nth) .. PARTITION .. '"', marked(alone, last[alone], ''), data)
    end
  end
  return false
end
local has_stopped = put_all()
if has_stopped and put_in == 0 then return { 'choose' } end

local to, at_end = seen.through or from, seen.at_end and not has_stopped and not enough
if has_stopped then
  to = last[alone]
elseif at_end then
  -- Nothing lies between: it goes with the common cursor again.
  local common = redis.call('HGET', routed, source)
  if common and less(to, common) then to = common end
end
local reply = finish(to)
reply[4], reply[5] = at_end and 1 or 0, to
return reply

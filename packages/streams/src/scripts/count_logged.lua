-- Count the events of this log that a subscription asks for, where they lie, for one that asks for types alone.
-- KEYS[1] log
-- ARGV[2] position behind which to look  ARGV[3] position up to which ('+' = the end)  ARGV[4] so many events are enough  ARGV[5], [6] what
--   it asks for, as `by_type_alone` has it
-- Returns {position of the last fact that was looked at ('' = there is none), entries that end up to there, 1 when that is the end of what
--   there is, events, position of the first of them ('' = none)}.
local after, to = ARGV[2], ARGV[3]
local seen = look_on(after, to, tonumber(ARGV[4]), by_type_alone(ARGV[5], ARGV[6]))
local events, first_event = 0, ''
for at = 1, #seen.entries, 2 do
  local id = seen.entries[at]
  local ms, seq = split_position(id)
  local facts, first = facts_in(seen.entries[at + 1]), first_behind(after, id, seq)
  -- Of an entry that goes beyond the end only what lies before it.
  if to ~= '+' and less(to, ms .. '-' .. seq + facts - 1) then facts = first_behind(to, id, seq) end
  if facts > first then
    events = events + facts - first
    if first_event == '' then first_event = ms .. '-' .. seq + first end
  end
end
return { seen.through or '', seen.read, seen.at_end and 1 or 0, events, first_event }

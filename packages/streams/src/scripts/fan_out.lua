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
local refused = refusal_of_call(#ARGV > 9)
if refused then return refused end

local lists, i = {}, 10
for list = 1, tonumber(ARGV[9]) do
  local addresses = { unpack(ARGV, i + 1, i + tonumber(ARGV[i])) }
  lists[list], i = addresses, i + 1 + #addresses
end
while i <= #ARGV do
  local event_id, position, data, list = ARGV[i], ARGV[i + 1], ARGV[i + 2], lists[tonumber(ARGV[i + 3])]
  local with_meta = ARGV[i + 4] == 'meta'
  i = i + 5
  for nth, address in ipairs(list) do put(address, event_id, position, with_meta and ARGV[i + nth - 1] or '', data) end
  if with_meta then i = i + #list end
end

return finish(ARGV[4])

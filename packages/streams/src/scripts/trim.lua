-- Trim the log behind its slowest group, keeping about the newest `keep` facts, rather more than fewer.
-- KEYS[1] log   ARGV[2] keep  ARGV[3..] groups without which nothing is trimmed
-- Returns how many entries went. A group with pending entries is as slow as its oldest pending one.
-- Whole stream nodes are dropped (about a hundred entries), which costs next to nothing.
--
-- An entry holds one fact, or up to a hundred. How many they hold now is read off the newest few: the least of them, so that
-- a burst of large entries does not take the small ones before it along. An entry of one fact may be of any size, but then
-- there is no less, and it is the last that is looked at; the others are at most MAX_ENTRY_BYTES.
local SAMPLE = 5
local facts_per_entry, before = MAX_FACTS, '+'
for _ = 1, SAMPLE do
  local entry = redis.call('XREVRANGE', LOG, before, '-', 'COUNT', 1)[1]
  if not entry then break end
  facts_per_entry = math.max(1, math.min(facts_per_entry, math.floor((#values_of(entry[2]) - SHARED_FIELDS) / FIELDS_PER_FACT)))
  if facts_per_entry == 1 then break end
  before = '(' .. entry[1]
end
local surplus = redis.call('XLEN', LOG) - math.ceil(tonumber(ARGV[2]) / facts_per_entry)
if surplus <= 0 then return 0 end

local slowest
local known = {}
for _, group in ipairs(redis.call('XINFO', 'GROUPS', LOG)) do
  local name, position = group[2], group[8]
  known[name] = true
  local oldest_pending = redis.call('XPENDING', LOG, name)[2]
  if oldest_pending and less(oldest_pending, position) then position = oldest_pending end
  if not slowest or less(position, slowest) then slowest = position end
end
-- A group that somebody destroyed is made again by its reader, from the cursor that it keeps elsewhere: what lies behind that
-- must still be there then.
for i = 3, #ARGV do
  if not known[ARGV[i]] then return 0 end
end
-- Without a reader nobody has seen anything: keep it all.
if not slowest then return 0 end
-- It may stand in the middle of an entry, whose id is before its position: what is left of that entry is still to be read.
local reached = redis.call('XREVRANGE', LOG, slowest, '-', 'COUNT', 1)[1]
if not reached then return 0 end
return redis.call('XTRIM', LOG, 'MINID', '~', reached[1], 'LIMIT', surplus)

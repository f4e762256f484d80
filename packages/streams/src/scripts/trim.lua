-- Trim the log behind its slowest group, keeping about the newest `keep` facts, rather more than fewer.
-- KEYS[1] log   ARGV[2] keep
-- Returns how many entries went. A group with pending entries is as slow as its oldest pending one.
-- Whole stream nodes are dropped (about a hundred entries), which costs next to nothing.
--
-- An entry holds one fact, or up to a hundred. How many they hold now is read off the newest few: the least of them, so that
-- a burst of large entries does not take the small ones before it along.
local SAMPLE = 10
local facts_per_entry = MAX_FACTS
for _, entry in ipairs(redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', SAMPLE)) do
  facts_per_entry = math.max(1, math.min(facts_per_entry, math.floor((#entry[2] - SHARED_FIELDS) / FIELDS_PER_FACT)))
end
local surplus = redis.call('XLEN', LOG) - math.ceil(tonumber(ARGV[2]) / facts_per_entry)
if surplus <= 0 then return 0 end

local slowest
for _, group in ipairs(redis.call('XINFO', 'GROUPS', LOG)) do
  local name, position = group[2], group[8]
  local oldest_pending = redis.call('XPENDING', LOG, name)[2]
  if oldest_pending and less(oldest_pending, position) then position = oldest_pending end
  if not slowest or less(position, slowest) then slowest = position end
end
-- Without a reader nobody has seen anything: keep it all.
if not slowest then return 0 end
return redis.call('XTRIM', LOG, 'MINID', '~', slowest, 'LIMIT', surplus)

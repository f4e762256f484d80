-- Read on in the log, past the facts of types that the caller does not ask for: of the three facts that each job leaves, who
-- routes events mostly wants none, and sending them to be thrown away there costs ten times what looking at them costs here.
-- KEYS[1] log
-- ARGV[2] position behind which to read  ARGV[3] position up to which ('+' = the end)  ARGV[4] so many facts that are asked
--   for are enough  ARGV[5] kinds and ARGV[6] types that are not asked for, each between line feeds: one argument, because
--   there are many types, and taking a list apart costs more than finding a few of them in a text
-- Returns {position of the last fact that was looked at ('' = there is none), entries that end up to there, 1 when that is the
--   end of what there is, {id, fields, id, fields…} of the entries that are asked for}. The first of them may begin before the
--   position, and the last go beyond the end.
local after, to, enough = ARGV[2], ARGV[3], tonumber(ARGV[4])
-- However much of it is asked for, a call looks at so much of the log at most, in facts and in bytes of payload.
local MAX_LOOKED_AT, MAX_BYTES, MAX_AT_ONCE = 5000, 1048576, 20

local kinds, types = ARGV[5], ARGV[6]
local asked_for = {}
local function is_asked_for(kind, type)
  -- No fact of ours: somebody else wrote it.
  if not type then return false end
  local name = kind .. '\n' .. type
  if asked_for[name] == nil then
    local among = function(list, one) return string.find(list, '\n' .. one .. '\n', 1, true) end
    asked_for[name] = not (among(kinds, kind) or among(types, type))
  end
  return asked_for[name]
end

local through, read, reply = '', 0, {}
local looked_at, found, bytes = 0, 0, 0

local function look_at(entry)
  local id, fields = entry[1], entry[2]
  -- Whoever else wrote into the log, what stands there is one fact.
  local facts = math.max(1, math.floor((#fields - SHARED_FIELDS) / FIELDS_PER_FACT))
  local ms, seq = split_position(id)
  through, read, looked_at = ms .. '-' .. whole(seq + facts - 1), read + 1, looked_at + facts
  if not is_asked_for(fields[2], fields[4]) then return end
  found, bytes = found + facts, bytes + (facts == 1 and #fields[#fields] or MAX_ENTRY_BYTES)
  reply[#reply + 1], reply[#reply + 2] = id, fields
end

-- The rest of an entry that the position stands in the middle of.
local started = redis.call('XREVRANGE', LOG, after, (split_position(after)) .. '-0', 'COUNT', 1)[1]
if started then
  look_at(started)
  if not less(after, through) then through, read, looked_at, found, bytes, reply = '', 0, 0, 0, 0, {} end
end

local from, at_end = '(' .. after, 0
-- An entry has one fact, or a hundred: as many entries are read as may hold what is still wanted, going by those before.
local at_once = math.ceil(enough / MAX_FACTS)
while at_end == 0 and found < enough and looked_at < MAX_LOOKED_AT and bytes < MAX_BYTES do
  at_once = math.max(1, math.min(MAX_AT_ONCE, at_once))
  local entries = redis.call('XRANGE', LOG, from, to, 'COUNT', at_once)
  for _, entry in ipairs(entries) do look_at(entry) end
  if #entries < at_once then at_end = 1 else from = '(' .. entries[#entries][1] end
  at_once = math.ceil((enough - found) * read / math.max(1, looked_at))
end
return { through, read, at_end, reply }

-- Looking at the log where it lies; for the scripts that do. Put behind the other preludes where a script asks for it.
-- KEYS[1], ARGV[1] as there. Returns nothing by itself.

-- However much of it is asked for, a call looks at so much of the log at most, in facts and in bytes of payload.
local MAX_LOOKED_AT, MAX_BYTES, MAX_AT_ONCE = 5000, 1048576, 20

-- Whoever else wrote into the log, what stands there is one fact.
local function facts_in(fields) return math.max(1, math.floor((#fields - SHARED_FIELDS) / FIELDS_PER_FACT)) end

-- Entries behind a position and up to another ('+' = the end), as {through = position of the last fact that was looked at, nil
-- = there is none, read = how many entries end up to there, at_end = whether that is all, entries = {id, fields, id, fields…}
-- of those whose kind and type are asked for, started = whether an entry
-- of the position's own millisecond begins at or before it}. So many facts that are asked for are enough. The position may be in the middle
-- of an entry: then the first of them begins before it.
local function look_on(after, to, enough, is_asked_for)
  local seen = { read = 0, at_end = false, entries = {} }
  local looked_at, found, bytes = 0, 0, 0

  local function look_at(entry)
    local id, fields = entry[1], values_of(entry[2])
    local facts = facts_in(fields)
    local ms, seq = split_position(id)
    seen.through, seen.read, looked_at = ms .. '-' .. whole(seq + facts - 1), seen.read + 1, looked_at + facts
    -- No fact of ours: somebody else wrote it.
    if not fields[6] or not is_asked_for(fields[1], fields[2]) then return end
    found, bytes = found + facts, bytes + (facts == 1 and #fields[#fields] or MAX_ENTRY_BYTES)
    local entries = seen.entries
    entries[#entries + 1], entries[#entries + 2] = id, fields
  end

  -- The rest of an entry that the position stands in the middle of.
  local started = redis.call('XREVRANGE', LOG, after, (split_position(after)) .. '-0', 'COUNT', 1)[1]
  seen.started = started ~= nil
  if started then
    local ms, seq = split_position(started[1])
    if less(after, ms .. '-' .. whole(seq + facts_in(values_of(started[2])) - 1)) then look_at(started) end
  end

  -- An entry has one fact, or a hundred: as many entries are read as may hold what is still wanted, going by those before.
  local from, at_once = '(' .. after, math.ceil(enough / MAX_FACTS)
  while not seen.at_end and found < enough and looked_at < MAX_LOOKED_AT and bytes < MAX_BYTES do
    at_once = math.max(1, math.min(MAX_AT_ONCE, at_once))
    local entries = redis.call('XRANGE', LOG, from, to, 'COUNT', at_once)
    for _, entry in ipairs(entries) do look_at(entry) end
    if #entries < at_once then seen.at_end = true else from = '(' .. entries[#entries][1] end
    at_once = math.ceil((enough - found) * seen.read / math.max(1, looked_at))
  end
  return seen
end

-- The number in its entry of the first fact behind a position, for an entry that holds one.
local function first_behind(position, id, seq)
  return less(position, id) and 0 or select(2, split_position(position)) - seq + 1
end

-- Whether one of the lines of a text, which has a line feed at either end, is a name. Taking a list apart costs more than that.
local function is_among(lines, name) return string.find(lines, '\n' .. name .. '\n', 1, true) ~= nil end

-- Which facts a subscription asks for that asks for types alone: `types`, a line each with a line feed at either end, and `beginnings` of
-- types, a line each; both '' = all that services publish. The answer takes kind and type.
local function by_type_alone(types, beginnings)
  local known, starts = {}, {}
  for beginning in string.gmatch(beginnings, '[^\n]+') do starts[#starts + 1] = beginning end
  local function fits(type)
    if types == '' and #starts == 0 or is_among(types, type) then return true end
    for _, beginning in ipairs(starts) do
      if string.sub(type, 1, #beginning) == beginning then return true end
    end
    return false
  end
  return function(kind, type)
    if kind ~= 'event' then return false end
    if known[type] == nil then known[type] = fits(type) end
    return known[type]
  end
end

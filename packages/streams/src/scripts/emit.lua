-- Append 1..n facts that a service states (audit events), each once per idempotency key.
-- KEYS[1] log
-- ARGV[2] idempotency window ms, then 7 per fact: kind, type, namespace, queue ('' = none), entity, idempotency key ('' = none), data JSON
-- Returns per fact {'appended', position} or {'replayed', position}.
-- Facts of one kind, type, namespace and queue that follow each other stand in one entry of the log (`facts_of`).
local window = ARGV[2]
local results = {}

-- The idempotency keys of this call, by the place of their fact in it: their positions are known when their entry is written.
local here = {}
local facts, shared, unwritten = nil, nil, {}

local function on_entry(position, n)
  local ms, seq = split_position(position)
  for i = 0, n - 1 do
    local fact, at = table.remove(unwritten, 1), ms .. '-' .. whole(seq + i)
    results[fact.nth] = { 'appended', at }
    if fact.key then redis.call('SET', fact.key, at, 'PX', window) end
  end
end

local function append_fact(nth, kind, type, ns, queue, entity, key, data)
  local same = kind .. '\n' .. type .. '\n' .. ns .. '\n' .. queue
  if same ~= shared then
    if facts then facts.flush() end
    facts, shared = facts_of(kind, type, ns, queue, on_entry), same
  end
  -- Behind `add`, which may write the entry before: this fact is in the next one.
  facts.add(entity, data)
  unwritten[#unwritten + 1] = { nth = nth, key = key }
end

local function emit(nth, kind, type, ns, queue, entity, key, data)
  local idem_key = key ~= '' and TAG .. ':idem:' .. kind .. ':' .. ns .. ':' .. key
  if idem_key and here[idem_key] then
    results[nth] = here[idem_key]
    return
  end
  local known = idem_key and redis.call('GET', idem_key)
  if known then
    results[nth] = { 'replayed', known }
    return
  end
  if idem_key then here[idem_key] = nth end
  append_fact(nth, kind, type, ns, queue, entity, idem_key, data)
end

for i = 3, #ARGV, 7 do
  emit((i - 3) / 7 + 1, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
end
if facts then facts.flush() end
for nth, result in ipairs(results) do
  if type(result) == 'number' then results[nth] = { 'replayed', results[result][2] } end
end
return results

-- Append 1..n facts that a service states (audit events), each once per idempotency key.
-- KEYS[1] log
-- ARGV[2] idempotency window ms, then 7 per fact: kind, type, namespace, queue ('' = none), entity, idempotency key ('' = none), data JSON
-- Returns per fact {'appended', position} or {'replayed', position}.
local window = ARGV[2]
local results = {}

local function emit(kind, type, ns, queue, entity, key, data)
  local idem_key = TAG .. ':idem:' .. kind .. ':' .. ns .. ':' .. key
  local known = key ~= '' and redis.call('GET', idem_key)
  if known then return { 'replayed', known } end
  local position = append(kind, type, ns, queue, entity, data)
  if key ~= '' then redis.call('SET', idem_key, position, 'PX', window) end
  return { 'appended', position }
end

for i = 3, #ARGV, 7 do
  results[#results + 1] = emit(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
end
return results

-- Tell a partition which subscriptions live in it. New ones begin to read on their own where they start; what is known of
-- those that are gone is forgotten.
-- KEYS[1] log
-- ARGV[2] revision of the registry that says so, then 3 per subscription: address, version that made it, JSON object of the
--   position in each partition's log behind which it begins
-- Returns {'synced', how many began, how many went} or {'stale', revision} when the partition was told something newer.
-- From here on nothing is routed by an older revision (`fan_out`), so no event is missed by a router that has not heard yet.
local revision = tonumber(ARGV[2])
local routed, subscribed, behind = TAG .. ':routed', TAG .. ':subscribed', TAG .. ':behind'
local known_revision = tonumber(redis.call('HGET', routed, 'revision') or 0)
if known_revision > revision then return { 'stale', whole(known_revision) } end

local function forget(address)
  for _, field in ipairs(redis.call('HKEYS', behind)) do
    if string.sub(field, 1, #address + 1) == address .. ' ' then redis.call('HDEL', behind, field) end
  end
end

-- Where one begins that was removed and made again between two calls. Routers that knew the first may have put events behind
-- the second's beginning into its queue. It gets them again, since its filters may be others, and marked (`move_subscription`).
local function begin(address, partition, position)
  local was = redis.call('HGET', behind, address .. ' ' .. partition) or redis.call('HGET', routed, partition)
  local reached = was and string.match(was, '^%S+')
  return reached and less(position, reached) and position .. ' ' .. reached or position
end

local began, went = 0, 0
local here = {}
for i = 3, #ARGV, 3 do
  local address, since, starts = ARGV[i], ARGV[i + 1], cjson.decode(ARGV[i + 2])
  local known = redis.call('HGET', subscribed, address)
  here[address] = true
  if known ~= since then
    for partition, position in pairs(known and starts or {}) do starts[partition] = begin(address, partition, position) end
    forget(address)
    for partition, position in pairs(starts) do redis.call('HSET', behind, address .. ' ' .. partition, position) end
    redis.call('HSET', subscribed, address, since)
    began = began + 1
  end
end
for _, address in ipairs(redis.call('HKEYS', subscribed)) do
  if not here[address] then
    forget(address)
    redis.call('HDEL', subscribed, address)
    went = went + 1
  end
end
redis.call('HSET', routed, 'revision', revision)
return { 'synced', began, went }

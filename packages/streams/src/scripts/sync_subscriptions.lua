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

local began, went = 0, 0
local here = {}
for i = 3, #ARGV, 3 do
  local address, since, starts = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  here[address] = true
  if redis.call('HGET', subscribed, address) ~= since then
    forget(address)
    for partition, position in pairs(cjson.decode(starts)) do redis.call('HSET', behind, address .. ' ' .. partition, position) end
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

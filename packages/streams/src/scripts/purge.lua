-- Remove what waits in a queue, in two steps so that nobody does it by accident: first count and get a token, then purge
-- with the token what was there at the count. Purged jobs are cancelled, one event each.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] token  ARGV[4] `count|purge`  ARGV[5] token lifetime ms, or how many at most  ARGV[6] JSON of who and why
-- ARGV[7] how many the calls before this one removed
-- Returns {'counted', waiting, scheduled}; {'purged', how many, 1 when more is left}; {'no_token'} when it is not, or no
--   longer, the token of this queue.
-- Jobs that came after the count stay: the token carries the log position of the count.
local address, token, action = ARGV[2], ARGV[3], ARGV[4]
local token_key = TAG .. ':purge:' .. address
local ns, queue = split_address(address)

if action == 'count' then
  local waiting = waiting_of(address) + tonumber(redis.call('HGET', counts_key(address), 'held') or 0)
  local position = append('queue', 'queue.purge_requested', ns, queue, 'queue/' .. queue, ARGV[6])
  redis.call('SET', token_key, token .. ' ' .. position, 'PX', ARGV[5])
  return { 'counted', waiting, tonumber(redis.call('HGET', counts_key(address), 'scheduled') or 0) }
end

local stored = redis.call('GET', token_key)
local known, position = string.match(stored or '', '^(%S+) (%S+)$')
if known ~= token then return { 'no_token' } end
local limit, by, purged = tonumber(ARGV[5]), ARGV[6], 0

local function purge_lane(lane)
  local key, last = lane_key(address, lane), digits_of_position(position)
  local wanted, passed, found
  repeat
    wanted, passed, found = math.min(limit - purged, PORTION), 0, {}
    for _, element in ipairs(redis.call('LRANGE', key, 0, wanted - 1)) do
      if string.sub(element, 1, DIGITS) > last then break end
      passed = passed + 1
      if not is_hole(element) then
        local entry = parse_element(element)
        cancel_job(address, named(entry), entry.meta, by)
        found[#found + 1] = entry.digits
      end
    end
    if passed > 0 then
      shorten(address, lane, passed, passed - #found, holes_of(address))
      forget_payloads(address, lane, found)
      purged = purged + #found
    end
  until passed < wanted or purged == limit
end

local function purge_key(key)
  each_entry(held_key(address, key), '-', position, limit - purged, function(entry)
    local fields = parse_held(entry[2])
    drop_held(address, key, entry[1])
    cancel_job(address, fields.job == '' and job_id(entry[1]) or fields.job, fields.meta, by)
    purged = purged + 1
  end)
end

for _, lane in ipairs(LANES) do
  if purged < limit then purge_lane(lane) end
end
for _, key in ipairs(redis.call('SRANDMEMBER', TAG .. ':lines:' .. address, limit)) do
  if purged < limit then purge_key(key) end
end
if purged < limit then
  redis.call('DEL', token_key)
  append('queue', 'queue.purged', ns, queue, 'queue/' .. queue, string.sub(by, 1, -2) .. ',"purged":' .. purged + tonumber(ARGV[7]) .. '}')
end
return { 'purged', purged, purged < limit and 0 or 1 }

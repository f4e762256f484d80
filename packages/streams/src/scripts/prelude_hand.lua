-- What is claimed and not settled yet, and who has it. Behind prelude.lua in the library.

-- What a claim takes leaves its lane for this hash and lies there, as it lay in its lane, until it is settled. So a lane is what
-- waits and nothing else, and the length of the hash is what counts against the queue's limit. A field names who has the job
-- as well: whoever lost it to another finds nothing under its own name.
local function in_hand_key(address) return TAG .. ':in-hand:' .. address end
local function in_hand_field(digits, lane, holder) return digits .. ' ' .. lane .. ' ' .. holder end

-- Prefetched jobs are in hand, and no attempt at them has begun: each consumer says how many it has whenever it settles or claims.
-- Between two of its words it begins one only where another of its attempts has ended that is not settled yet, so what is
-- in hand without the prefetched ones is never less than what runs.
local function prefetched_key(address) return TAG .. ':prefetched:' .. address end
local function note_prefetched(address, consumer, n)
  if n > 0 then redis.call('HSET', prefetched_key(address), consumer, n)
  else redis.call('HDEL', prefetched_key(address), consumer) end
end
-- How many jobs of a queue are in hand, and how many of them are prefetched.
local function in_hand_of(address)
  local in_hand, prefetched = redis.call('HLEN', in_hand_key(address)), 0
  for _, noted in ipairs(redis.call('HVALS', prefetched_key(address))) do prefetched = prefetched + tonumber(noted) end
  return in_hand, math.min(prefetched, in_hand)
end

-- `holders` counts who had the job, this one included.
local function put_in_hand(address, lane, holder, entry, holders)
  entry.holders = holders
  redis.call('HSET', in_hand_key(address), in_hand_field(entry.digits, lane, holder), element_of(entry))
end

-- Jobs in hand as {field, digits, lane, holder}, by lane and then the oldest first; those of one holder where one is named. It looks
-- at all that the queue has in hand, so it is for what happens seldom.
local function each_in_hand(address, holder)
  local found, rank = {}, { high = 1, normal = 2, low = 3 }
  for _, field in ipairs(redis.call('HKEYS', in_hand_key(address))) do
    local digits, lane, by = string.match(field, '^(%S+) (%S+) (.+)$')
    if not holder or by == holder then found[#found + 1] = { field, digits, lane, by } end
  end
  table.sort(found, function(a, b)
    if a[3] ~= b[3] then return rank[a[3]] < rank[b[3]] end
    return a[2] < b[2]
  end)
  return found
end

-- What is in hand of a job, and who has it; nil when nobody does.
local function find_in_hand(address, lane, digits)
  local key, begins = in_hand_key(address), in_hand_field(digits, lane, '')
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, #begins) == begins then return redis.call('HGET', key, field), string.sub(field, #begins + 1) end
  end
  return nil
end

-- How many jobs wait in the queue of a subscription, or run; those that wait are all in one lane.
local function waiting_in(address)
  local counted = redis.call('HMGET', counts_key(address), 'scheduled', 'held', 'gone')
  return redis.call('LLEN', lane_key(address, 'normal')) - tonumber(counted[3] or 0) + redis.call('HLEN', in_hand_key(address))
    + tonumber(counted[1] or 0) + tonumber(counted[2] or 0)
end

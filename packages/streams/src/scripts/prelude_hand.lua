-- What is claimed and not settled yet, and who has it. Behind prelude.lua in the library.

-- What a claim takes leaves its lane for this hash and lies there, with all that its entry had, until it is settled. So a lane is what
-- waits and nothing else, and the length of the hash is what counts against the queue's limit. A field names who has the job
-- as well: whoever lost it to another finds nothing under its own name.
local function in_hand_key(address) return TAG .. ':in-hand:' .. address end
local function in_hand_field(entry_id, lane, holder) return entry_id .. ' ' .. lane .. ' ' .. holder end

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

-- What lies in hand: the payload alone (or what stands for a large one) of a job that brings nothing else and had no holder before, which is most of them; for
-- others `@`, a line of JSON with what else there is, then the payload. That is JSON or packed, so it never begins with `@`.
-- `holders` counts who had the job, this one included.
local function parse_in_hand(value)
  if string.sub(value, 1, 1) == '@' then return unpack_body(string.sub(value, 2)) end
  return { job = '', attempt = 0, epoch = 0, meta = '', holders = 1, data = value }
end
local function put_in_hand(address, field, entry, holders)
  local body = { job = entry.job, attempt = entry.attempt, epoch = entry.epoch, meta = entry.meta, holders = holders }
  redis.call('HSET', in_hand_key(address), field, '@' .. pack_body(body, entry.data))
end

-- Jobs in hand as {field, entry id, lane, holder}, by lane and then the oldest first; those of one holder where one is named. It looks
-- at all that the queue has in hand, so it is for what happens seldom.
local function each_in_hand(address, holder)
  local found, rank = {}, { high = 1, normal = 2, low = 3 }
  for _, field in ipairs(redis.call('HKEYS', in_hand_key(address))) do
    local entry_id, lane, by = string.match(field, '^(%S+) (%S+) (.+)$')
    if not holder or by == holder then found[#found + 1] = { field, entry_id, lane, by } end
  end
  table.sort(found, function(a, b)
    if a[3] ~= b[3] then return rank[a[3]] < rank[b[3]] end
    return less(a[2], b[2])
  end)
  return found
end

-- What is in hand of an entry, and who has it; nil when nobody does.
local function find_in_hand(address, lane, entry_id)
  local key, begins = in_hand_key(address), in_hand_field(entry_id, lane, '')
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, #begins) == begins then return redis.call('HGET', key, field), string.sub(field, #begins + 1) end
  end
  return nil
end

-- How many jobs wait in the queue of a subscription, or run; those that wait are all in one lane.
local function waiting_in(address)
  local counted = redis.call('HMGET', counts_key(address), 'scheduled', 'held')
  return redis.call('XLEN', lane_key(address, 'normal')) + redis.call('HLEN', in_hand_key(address)) + tonumber(counted[1] or 0) + tonumber(counted[2] or 0)
end

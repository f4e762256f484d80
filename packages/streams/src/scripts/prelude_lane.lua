-- What waits in a lane, and the payloads beside it. Behind prelude.lua in the library.

-- A large payload lies beside its lane, by the digits of its job, from when that is ready until it goes elsewhere; `&` stands for it in the
-- lane and in hand. So a claim moves a character and not the payload, which Redis would write into its file once more: in turns, push got
-- the same done with payloads of 1,800 bytes, an eighth more with 3,500, and nearly half more with 30,000.
-- Nothing that is stored as a payload begins with it.
local LARGE, ELSEWHERE = 1500, '&'
local function large_key(address, lane) return TAG .. ':large:' .. address .. ':' .. lane end
local function payload_of(address, lane, digits, data)
  if data ~= ELSEWHERE then return data end
  return redis.call('HGET', large_key(address, lane), digits) or '"the payload is gone"'
end
-- What stands for a payload in its lane: itself, or the sign that it lies elsewhere, where it is put.
local function put_payload(address, lane, digits, data)
  if #data <= LARGE then return data end
  local key = large_key(address, lane)
  any_large[key] = true
  redis.call('HSET', key, digits, data)
  return ELSEWHERE
end
-- These jobs of a lane are neither there any more nor in hand.
local function forget_payloads(address, lane, digits)
  local key = large_key(address, lane)
  if any_large[key] == nil then any_large[key] = redis.call('EXISTS', key) == 1 end
  if any_large[key] then redis.call('HDEL', key, unpack(digits)) end
end

-- A lane is a list. An element is the place of its job, as digits, and the payload: that is all of a job that was never tried and brings
-- nothing else, which is most of them, and its place is its own id. For others a line of JSON stands before the payload, behind `@`, with which no payload
-- begins: `job` ('' where the place is its id), `attempt`, `epoch`, `meta`, and in hand how many have had it. Places are positions of
-- the log, so they rise, and a job is found by halving.
-- The bytes of `@` and `&`: there is no `string` while the library is loaded.
local AT, AMPERSAND, BEHIND_PLACE = 64, 38, DIGITS + 1
local function element_of(entry)
  if entry.job == '' and entry.epoch == 0 and entry.meta == '' and (entry.holders or 1) == 1 then return entry.place .. entry.data end
  local body = { job = entry.job, attempt = entry.attempt, epoch = entry.epoch, meta = entry.meta, holders = entry.holders }
  return entry.place .. '@' .. pack_body(body, entry.data)
end
local function parse_element(element)
  local place = string.sub(element, 1, DIGITS)
  if string.byte(element, BEHIND_PLACE) ~= AT then
    return { place = place, digits = place, job = '', attempt = 0, epoch = 0, meta = '', holders = 1, data = string.sub(element, BEHIND_PLACE) }
  end
  local entry = unpack_body(string.sub(element, BEHIND_PLACE + 1))
  entry.place, entry.holders = place, entry.holders or 1
  entry.digits = entry.job == '' and place or digits_of(entry.job)
  return entry
end
-- The id of the job of an element.
local function named(entry) return entry.job == '' and job_of(entry.place) or entry.job end

-- Note where a job is that was moved, so that a command on its id finds it: in a lane, or in hand from there.
local function note_place(address, lane, job, place)
  redis.call('HSET', TAG .. ':places', job, 'lane ' .. address .. ' ' .. lane .. ' ' .. place)
end

-- Put a ready job into its lane, at the place that a position of the log gives. `job` is '' where that is the job's id.
local function add_ready(address, lane, position, job, attempt, epoch, meta, data)
  local place = digits_of_position(position)
  local here = put_payload(address, lane, job == '' and place or digits_of(job), data)
  redis.call('RPUSH', lane_key(address, lane), element_of({
    place = place, job = job, attempt = tonumber(attempt), epoch = tonumber(epoch), meta = meta, data = here,
  }))
  if job ~= '' then note_place(address, lane, job, place) end
end

-- A job that is taken out of the middle leaves a hole, an element that is its place alone: Redis finds an element by its number at once, and
-- would look through half of a lane to close it (a million jobs: 20 ms). `gone` in the counters of the queue is how many holes there are. The head
-- of a lane is never one, so a lane with elements has jobs.
local function is_hole(element) return #element == DIGITS end
local function holes_of(address) return tonumber(redis.call('HGET', counts_key(address), 'gone') or 0) end
local function waiting_of(address)
  local waiting = -holes_of(address)
  for _, lane in ipairs(LANES) do waiting = waiting + redis.call('LLEN', lane_key(address, lane)) end
  return waiting
end

-- Take so many elements off the head of a lane, of which so many are holes, and the holes behind them; of `gone` in all lanes.
local function shorten(address, lane, n, holes, gone)
  local key = lane_key(address, lane)
  if n > 0 then redis.call('LTRIM', key, n, '-1') end
  if gone == 0 then return 0 end
  local leading
  repeat
    leading = 0
    for _, element in ipairs(gone > holes and redis.call('LRANGE', key, '0', PORTION - 1) or {}) do
      if not is_hole(element) then break end
      leading = leading + 1
    end
    if leading > 0 then redis.call('LTRIM', key, leading, -1) end
    holes = holes + leading
  until leading < PORTION
  if holes > 0 then count(address, 'gone', -holes) end
  return holes
end

-- How many elements of a lane are before a place, and the element there; nil when it is not there (any more).
local function find_ready(address, lane, place)
  local key = lane_key(address, lane)
  -- What was claimed or has ended is nearly always before all that waits.
  local head = redis.call('LINDEX', key, '0')
  if not head or place < string.sub(head, 1, DIGITS) then return nil end
  local low, high = 0, redis.call('LLEN', key) - 1
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local element = redis.call('LINDEX', key, middle)
    local at = string.sub(element, 1, DIGITS)
    if at == place then
      if is_hole(element) then return nil end
      return middle, element
    end
    if at < place then low = middle + 1 else high = middle - 1 end
  end
  return nil
end

local function drop_ready(address, lane, index, element)
  redis.call('LSET', lane_key(address, lane), index, string.sub(element, 1, DIGITS))
  count(address, 'gone', 1)
  if index == 0 then shorten(address, lane, 0, 0, holes_of(address)) end
end

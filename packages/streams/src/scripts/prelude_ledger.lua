-- The rows of a schedule's ledger; for the scripts that write them. Put behind the other
-- preludes where a script asks for it. KEYS[1], ARGV[1] as there. Returns nothing by itself.

-- Up to where a ledger may have rows that did not come by its plan, ms: by a backfill, by hand, of times that were passed over. What is
-- planned behind that is new without a look at the rows, because a plan only rises. Where it is not known, as after another plan was
-- made, the next tick looks.
local HIGH = TAG .. ':ledger-high'
local function note_high(address, at_ms)
  local high = redis.call('HGET', HIGH, address)
  if high and tonumber(high) < tonumber(at_ms) then redis.call('HSET', HIGH, address, at_ms) end
end

-- A row of the ledger, as JSON, in the order of nominal times; one name has one row.
local function record(address, name, at_ms, row)
  note_high(address, at_ms)
  redis.call('ZADD', ledger_key(address), at_ms, name)
  redis.call('HSET', rows_key(address), name, row)
end

-- Among the rows: the latest nominal time whose row was forgotten. Of times up to there nobody knows any more whether they fired.
local FORGOTTEN = 'forgotten'

-- Forget the oldest rows beyond so many; a sixteenth of them at once, because each time takes five commands.
local function trim_ledger(address, keep)
  local beyond = redis.call('ZCARD', ledger_key(address)) - keep
  if beyond < math.max(1, math.floor(keep / 16)) then return end
  local oldest = redis.call('ZRANGE', ledger_key(address), 0, beyond - 1, 'WITHSCORES')
  for i = 1, #oldest, 2 do redis.call('HDEL', rows_key(address), oldest[i]) end
  redis.call('ZREMRANGEBYRANK', ledger_key(address), 0, beyond - 1)
  local last, before = oldest[#oldest], redis.call('HGET', rows_key(address), FORGOTTEN)
  if not before or tonumber(before) < tonumber(last) then redis.call('HSET', rows_key(address), FORGOTTEN, last) end
end

-- Why a backfill may not begin that fires what has not fired: {'forgotten', ms} when its range {fromMs, from, to} begins where
-- that is no longer known, {'running', id} when another one is at work there, whose rows may be forgotten while it goes on.
local function refuse_backfill(address, range)
  local forgotten = redis.call('HGET', rows_key(address), FORGOTTEN)
  if forgotten and range.fromMs <= tonumber(forgotten) then return { 'forgotten', tonumber(forgotten) } end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', TAG .. ':backfill-ends', 'inf', 'inf')) do
    local text = redis.call('HGET', TAG .. ':backfills', id)
    local state = text and cjson.decode(text)
    if state and not state.again and state.namespace .. '/schedule:' .. state.schedule == address
      and state.from <= range.to and range.from <= state.to then return { 'running', id } end
  end
  return nil
end

-- What is planned for a schedule, and its rows in the ledger; for the scripts that change them. Put behind the other
-- preludes where a script asks for it. KEYS[1], ARGV[1] as there. Returns nothing by itself.

-- {rule, nominalMs, fireMs, afterMs, tz}; without a nominal time it never fires again. Nil when nothing was ever planned.
local function read_plan(address)
  local text = redis.call('HGET', TAG .. ':schedules', address)
  if not text then return nil end
  if string.sub(text, 1, 1) == '{' then return cjson.decode(text) end
  -- As earlier versions kept it: the rule alone, its time as the score.
  local due = tonumber(redis.call('ZSCORE', TAG .. ':ticks', address) or '')
  return { rule = text, nominalMs = due, fireMs = due, afterMs = due and due - 1, tz = '' }
end

local function write_plan(address, plan)
  redis.call('HSET', TAG .. ':schedules', address, cjson.encode(plan))
  if plan.fireMs then
    redis.call('ZADD', TAG .. ':ticks', whole(plan.fireMs), address)
  else
    redis.call('ZREM', TAG .. ':ticks', address)
  end
end

-- A row of the ledger, in the order of nominal times; one name has one row.
local function record(address, name, row)
  redis.call('ZADD', ledger_key(address), whole(row.atMs), name)
  redis.call('HSET', rows_key(address), name, cjson.encode(row))
end

-- Forget the oldest rows beyond so many.
local function trim_ledger(address, keep)
  local beyond = redis.call('ZCARD', ledger_key(address)) - keep
  if beyond <= 0 then return end
  local names = redis.call('ZRANGE', ledger_key(address), 0, beyond - 1)
  for _, name in ipairs(names) do redis.call('HDEL', rows_key(address), name) end
  redis.call('ZREMRANGEBYRANK', ledger_key(address), 0, beyond - 1)
end


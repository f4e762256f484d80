-- The rows of a schedule's ledger; for the scripts that write them. Put behind the other
-- preludes where a script asks for it. KEYS[1], ARGV[1] as there. Returns nothing by itself.

-- A row of the ledger, as JSON, in the order of nominal times; one name has one row.
local function record(address, name, at_ms, row)
  redis.call('ZADD', ledger_key(address), at_ms, name)
  redis.call('HSET', rows_key(address), name, row)
end

-- Forget the oldest rows beyond so many.
local function trim_ledger(address, keep)
  local beyond = redis.call('ZCARD', ledger_key(address)) - keep
  if beyond <= 0 then return end
  local names = redis.call('ZRANGE', ledger_key(address), 0, beyond - 1)
  for _, name in ipairs(names) do redis.call('HDEL', rows_key(address), name) end
  redis.call('ZREMRANGEBYRANK', ledger_key(address), 0, beyond - 1)
end


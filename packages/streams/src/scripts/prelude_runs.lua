-- Runs of schedules: a tick's job from its enqueueing to its end, and the ledger that says what became of each nominal
-- time. Between prelude.lua and prelude_keys.lua in the library. A job that is no run costs a look into its meta where that is open anyway.

local function active_key(address) return TAG .. ':runs:' .. address end
local function ledger_key(address) return TAG .. ':ledger:' .. address end
local function rows_key(address) return TAG .. ':ledger-rows:' .. address end

-- Rows of ticks that fired a moment ago, one of each schedule at most: `name job at_ms row`. They are filed behind the ticks: of a
-- thousand schedules that are due together, the last one would wait for all those rows. Whoever looks into a ledger files it before.
local function fresh_key() return TAG .. ':ledger-fresh' end
local function file_row(address, fresh)
  local name, job, at_ms, row = string.match(fresh, '^(%S+) (%S+) (%S+) (.*)$')
  redis.call('ZADD', ledger_key(address), at_ms, name)
  redis.call('HSET', rows_key(address), name, row)
  redis.call('HSET', active_key(address), job, name)
  redis.call('HDEL', fresh_key(), address)
end
local function file_fresh(address)
  local fresh = redis.call('HGET', fresh_key(), address)
  if fresh then file_row(address, fresh) end
end

local function read_row(address, name)
  local text = redis.call('HGET', rows_key(address), name)
  return text and cjson.decode(text)
end

-- A run has ended; its row says how, and a tick that was delivered is charged for, once.
local function end_run(address, job, tick, outcome)
  file_fresh(address)
  if redis.call('HDEL', active_key(address), job) == 0 then return end
  local ns, queue = split_address(address)
  local row = read_row(address, tick.name)
  if outcome == 'succeeded' then
    redis.call('HSET', TAG .. ':last-success', address, whole(now_ms()))
    if tick.gas and not (row and row.gas) then
      append('schedule', 'gas.charged', ns, queue, queue, cjson.encode({ tickId = tick.id, jobId = job, tokens = tick.gas }))
    end
  end
  if not row then return end
  row.outcome, row.endedAtMs = outcome, now_ms()
  if outcome == 'succeeded' then row.gas = row.gas or tick.gas or 0 end
  redis.call('HSET', rows_key(address), tick.name, cjson.encode(row))
end

local function tick_of(meta)
  return string.find(meta, '"tick"', 1, true) and cjson.decode(meta).tick
end

local function end_run_of(address, job, meta, outcome)
  local tick = tick_of(meta)
  if tick then end_run(address, job, tick, outcome) end
end

-- A run that had ended as a dead letter goes on.
local function resume_run(address, job, meta)
  local tick = tick_of(meta)
  if not tick then return end
  redis.call('HSET', active_key(address), job, tick.name)
  local row = read_row(address, tick.name)
  if not row then return end
  row.outcome, row.endedAtMs = nil, nil
  redis.call('HSET', rows_key(address), tick.name, cjson.encode(row))
end


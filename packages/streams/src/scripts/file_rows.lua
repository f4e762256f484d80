-- File the rows of ticks that fired a moment ago into their ledgers, and let those forget their oldest.
-- KEYS[1] log   ARGV[2] rows that a ledger keeps ('' = nothing is forgotten now)   ARGV[3…] addresses; none: whatever is there, a hundred and a few at most
-- Returns how many rows are left to be filed. Whoever dies before this leaves them to the next one, or to whoever looks into the ledger.
local ENOUGH, AT_ONCE = 100, '20'
local keep, filed = tonumber(ARGV[2]), 0

local function file(address, fresh)
  file_row(address, fresh)
  if keep then trim_ledger(address, keep) end
  filed = filed + 1
end

for i = 3, #ARGV do
  local fresh = redis.call('HGET', fresh_key(), ARGV[i])
  if fresh then file(ARGV[i], fresh) end
end
local cursor = #ARGV == 2 and '0'
while cursor and filed < ENOUGH do
  local found = redis.call('HSCAN', fresh_key(), cursor, 'COUNT', AT_ONCE)
  for at = 1, #found[2], 2 do file(found[2][at], found[2][at + 1]) end
  cursor = found[1] ~= '0' and found[1]
end
return redis.call('HLEN', fresh_key())

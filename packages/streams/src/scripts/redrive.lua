-- Put dead letters of one queue back into their queue, oldest first. The job keeps its id, its attempts start again.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] how many at most  ARGV[4] JSON object of who and why, then job ids (none = any)
-- Returns the ids redriven. An id that is not dead (any more) is passed over, so asking twice redrives once; so is all of a
-- queue that was closed, where nobody would deliver it.
local address, limit, by = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local ns, queue = split_address(address)
local redriven = {}
if is_closed(address) then return redriven end

local function redrive(entry_id, fields)
  local job, lane, epoch, meta, data = fields[2], fields[4], fields[8], fields[10], fields[16]
  local position = append('job', 'job.redriven', ns, queue, job, by)
  add_ready(address, lane, position, job, 0, epoch, meta, data)
  redis.call('XDEL', dead_key(address), entry_id)
  redis.call('HDEL', TAG .. ':dead-index', job)
  count(address, 'dead', -1)
  redriven[#redriven + 1] = job
end

if #ARGV > 4 then
  for i = 5, #ARGV do
    local place = redis.call('HGET', TAG .. ':dead-index', ARGV[i])
    local at, entry_id = string.match(place or '', '^(%S+) (%S+)$')
    local found = at == address and redis.call('XRANGE', dead_key(address), entry_id, entry_id)
    if found and found[1] and #redriven < limit then redrive(entry_id, found[1][2]) end
  end
else
  for _, entry in ipairs(redis.call('XRANGE', dead_key(address), '-', '+', 'COUNT', limit)) do redrive(entry[1], entry[2]) end
end
if #redriven > 0 then wake_if_idle(address) end
return redriven

-- Remove dead letters of one queue for good. Their jobs stay counted as dead: that is how they ended.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] JSON object of who and why, then job ids
-- Returns the ids discarded. An id that is not dead (any more) is passed over. The log and the audit trail keep what was.
local address, by = ARGV[2], ARGV[3]
local ns, queue = split_address(address)
local discarded = {}

for i = 4, #ARGV do
  local job = ARGV[i]
  local letter = find_letter(address, job)
  if letter then
    append('job', 'job.discarded', ns, queue, job, by)
    drop_letter(address, job, letter[1])
    count(address, 'discarded', 1)
    -- A letter that blocked its key blocks it no longer.
    free_slot(address, job)
    discarded[#discarded + 1] = job
  end
end
return discarded

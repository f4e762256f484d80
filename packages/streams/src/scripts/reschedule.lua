-- Give a job that waits for its time another one.
-- KEYS[1] log   ARGV[2] job id  ARGV[3] due (ms, or `+ms` from now)  ARGV[4] JSON object of who and why
-- Returns {'rescheduled', due ms}, {state} when the job is there and waits for no time, or {'unknown'}.
local job, due, by = ARGV[2], due_time(ARGV[3]), ARGV[4]
local parked = unpark(job)
if not parked then
  local place = locate(job)
  return { place and place[1] or 'unknown' }
end
local ns, queue = split_address(parked.address)
set_due(job, due)
append('job', 'job.rescheduled', ns, queue, job, string.sub(by, 1, -2) .. ',"dueAtMs":' .. due .. '}')
return { 'rescheduled', tonumber(due) }

-- Put dead letters of one queue back into their queue, oldest first. The job keeps its id, its attempts start again.
-- KEYS[1] log
-- ARGV[2] address  ARGV[3] how many at most  ARGV[4] JSON object of who and why, then job ids (none = any)
-- Returns the ids redriven. An id that is not dead (any more) is passed over, so asking twice redrives once; so is all of a
-- queue that was closed, where nobody would deliver it.
local address, limit, by = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local redriven = {}
if is_closed(address) then return redriven end

if #ARGV > 4 then
  for i = 5, #ARGV do
    local letter = #redriven < limit and find_letter(address, ARGV[i])
    if letter then redriven[#redriven + 1] = redrive_letter(address, letter, by) end
  end
else
  each_entry(dead_key(address), '-', '+', limit, function(letter)
    redriven[#redriven + 1] = redrive_letter(address, letter, by)
  end)
end
return redriven

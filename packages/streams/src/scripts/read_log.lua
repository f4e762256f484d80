-- Read on in the log, past the facts of types that the caller does not ask for: of the three facts that each job leaves, who
-- routes events mostly wants none, and sending them to be thrown away there costs ten times what looking at them costs here.
-- KEYS[1] log
-- ARGV[2] position behind which to read  ARGV[3] position up to which ('+' = the end)  ARGV[4] so many facts that are asked
--   for are enough  ARGV[5] kinds and ARGV[6] types that are not asked for, a line each, with a line feed at either end
-- Returns {position of the last fact that was looked at ('' = there is none), entries that end up to there, 1 when that is the
--   end of what there is, {id, fields, id, fields…} of the entries that are asked for, 1 when the log still has what stands at or
--   before the position}. The first of the entries may begin before the position, and the last go beyond the end.
local asked_for = {}
local function is_asked_for(kind, type)
  local name = kind .. '\n' .. type
  if asked_for[name] == nil then asked_for[name] = not (is_among(ARGV[5], kind) or is_among(ARGV[6], type)) end
  return asked_for[name]
end

local seen = look_on(ARGV[2], ARGV[3], tonumber(ARGV[4]), is_asked_for)
-- Trimming takes entries from the front: while there is one at or before the position, none behind it is gone.
local is_within = seen.started or redis.call('XRANGE', LOG, '-', ARGV[2], 'COUNT', 1)[1] ~= nil
return { seen.through or '', seen.read, seen.at_end and 1 or 0, seen.entries, is_within and 1 or 0 }

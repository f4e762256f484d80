-- Cancel a job, wherever it is. One that runs is marked, and its dispatcher told to end the request; it is cancelled when
-- that attempt is settled, unless the attempt succeeded first.
-- KEYS[1] log   ARGV[2] job id  ARGV[3] JSON object of who and why
-- Returns {'cancelled', address}, {'cancelling', address}, {'dead', address} (a dead letter is at its end) or {'unknown'}.
return cancel_anywhere(ARGV[2], ARGV[3])

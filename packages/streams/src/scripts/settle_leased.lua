-- What a worker says of a job that it holds under a lease: that it goes on, or how it ended.
-- KEYS[1] log
-- ARGV[2] job id  ARGV[3] token of the attempt  ARGV[4] `extend|succeeded|retry|dead`
-- ARGV[5] lease ms (extend) or delay ms (retry)  ARGV[6] reason (dead)  ARGV[7] detail JSON object  ARGV[8] last response JSON object
-- Returns 'extended', 'settled', or 'lost' when the token is not that of the attempt under way: the lease ended, the job is
--   in other hands or at its end. A worker that reads `lost` must stop: what it does is no longer asked for.
-- An answer that is lost leaves the worker to ask again and read `lost`; the job's record says what was accepted.
local job, token, action = ARGV[2], ARGV[3], ARGV[4]
local text = redis.call('HGET', TAG .. ':leased', job)
local leased = text and cjson.decode(text)
if not leased or leased.token ~= token then return 'lost' end

if action == 'extend' then
  set_due(lease_member(job), whole(now_ms() + tonumber(ARGV[5])))
  return 'extended'
end
local field = in_hand_field(digits_of(job), leased.lane, LEASED)
local held = redis.call('HGET', in_hand_key(leased.address), field)
if not held then
  drop_lease(job)
  return 'lost'
end
conclude(leased.address, leased.lane, LEASED, job, {
  attempt = leased.attempt, epoch = whole(leased.epoch), outcome = action, delay = ARGV[5], reason = ARGV[6],
  detail = ARGV[7], last = ARGV[8], holds = parse_element(held).meta,
}, true)
drop_lease(job)
return 'settled'

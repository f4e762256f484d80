import type { Redis } from 'ioredis'
import { type Finding, ok, warn } from './finding.ts'

/**
 * More than the second that a `Date` header leaves open, and what a network takes. Leases, ticks and delays go by Redis's clock, so a
 * wrong clock elsewhere loses nothing: it shows wrong times, and signatures are refused beyond five minutes.
 */
const MAX_SKEW_MS = 2000

/** How far the clock of Redis is ahead of ours, in ms. */
export async function redisAheadMs(redis: Redis): Promise<number> {
  const before = Date.now()
  const [seconds, micros] = (await redis.time()).map(Number) as [number, number]
  return seconds * 1000 + micros / 1000 - (before + Date.now()) / 2
}

/** `aheadMs`: how far a clock is ahead of Redis's; negative when it is behind. */
export function clockFinding(check: string, aheadMs: number, whose: string): Finding {
  const seconds = (Math.abs(aheadMs) / 1000).toFixed(1)
  if (Math.abs(aheadMs) <= MAX_SKEW_MS)
    return ok(check, `${whose} and Redis have the same time, to ${MAX_SKEW_MS / 1000} s`)
  const says = `the clock of ${whose} is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of Redis`
  return warn(check, says, 'Let both machines keep time with NTP: timedatectl set-ntp true.')
}

import type { Redis } from 'ioredis'

/** Without Redis nothing can be settled; past a blip, waiting on would only delay whoever waits for this process to end. */
const GIVE_UP_WITHOUT_REDIS_MS = 2000
const LOOK_MS = 100

/** Resolves when the work is done, when the deadline has passed, or when Redis stays away. */
export async function untilDrained(
  work: Promise<unknown>,
  { deadlineMs, redis }: { deadlineMs: number; redis: Pick<Redis, 'status'> },
): Promise<void> {
  const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<void>()
  const deadline = setTimeout(giveUp, deadlineMs)
  let awayMs = 0
  const looking = setInterval(() => {
    awayMs = redis.status === 'ready' ? 0 : awayMs + LOOK_MS
    if (awayMs >= GIVE_UP_WITHOUT_REDIS_MS) giveUp()
  }, LOOK_MS)
  await Promise.race([work, givenUp])
  clearTimeout(deadline)
  clearInterval(looking)
}

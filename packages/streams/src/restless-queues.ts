import type { Partition } from './partition.ts'

/**
 * The queues of a partition that are not known to be empty: with jobs, full, paused, limited, or with a wake-up on its way.
 * A claim that finds nothing marks its queue idle, and whatever makes a job ready takes that mark away and publishes, in one
 * step; so a queue whose wake-up was lost is among these.
 */
export async function restlessQueues({ redis, keys }: Partition): Promise<string[]> {
  return redis.sdiff(keys.queues, keys.idle)
}

import type { Partition } from './partition.ts'

/** The state of a backfill as it is kept. */
export async function readBackfill({ redis, keys }: Partition, id: string): Promise<string | undefined> {
  return (await redis.hget(keys.backfills, id)) ?? undefined
}

/** The states of all backfills of a partition that are remembered, in no order. */
export function readBackfills({ redis, keys }: Partition): Promise<string[]> {
  return redis.hvals(keys.backfills)
}

/** The ids of the backfills that run. */
export function runningBackfills({ redis, keys }: Partition): Promise<string[]> {
  return redis.zrangebyscore(keys.backfillEnds, '+inf', '+inf')
}

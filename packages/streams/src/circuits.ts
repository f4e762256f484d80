import type { Partition } from './partition.ts'
import type { BreakerNote } from './scripts/note_breaker.ts'
import { storeTime } from './store-clock.ts'

/**
 * The circuits that are open as the dispatchers of a partition have noted them, each under the queue whose answer opened it.
 * A dispatcher that died cannot take its notes back, so they count while its lease holds.
 */
export async function readOpenCircuits(partition: Partition): Promise<BreakerNote[]> {
  const { redis, keys } = partition
  const notes = await redis.hvals(keys.breakers)
  if (notes.length === 0) return []
  const alive = new Set(await redis.zrangebyscore(keys.consumers, await storeTime(partition), '+inf'))
  return notes.map((note) => JSON.parse(note) as BreakerNote).filter(({ consumer }) => alive.has(consumer))
}

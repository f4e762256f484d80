import type { Partition } from './partition.ts'

/** The store's clock, whole ms: what paces whatever several processes may advance. */
export async function storeTime(partition: Partition): Promise<number> {
  return Math.floor(await readTime(partition))
}

/**
 * A clock of ours that shows the store's time, ms: behind it by no more than the answer was on its way. Ask when nothing else is in
 * hand: a long reply that is decoded first makes the clock late by just that.
 */
export async function storeClock(partition: Partition): Promise<() => number> {
  const storeMs = await readTime(partition)
  const readAt = performance.now()
  return () => storeMs + performance.now() - readAt
}

async function readTime({ redis }: Partition): Promise<number> {
  const [seconds, micros] = (await redis.time()).map(Number) as [number, number]
  return seconds * 1000 + micros / 1000
}

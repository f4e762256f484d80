import type { Partition } from './partition.ts'

/** What Redis has in memory, in bytes; a limit of 0 is none. */
export interface StoreMemory {
  readonly usedBytes: number
  readonly limitBytes: number
}

/** One command; all partitions of one server say the same. */
export async function readStoreMemory({ redis }: Partition): Promise<StoreMemory> {
  const info = await redis.info('memory')
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  return { usedBytes: field('used_memory'), limitBytes: field('maxmemory') }
}

/** How many entries the log of a partition has now. It is trimmed behind its slowest reader. */
export function logLength({ redis, keys }: Partition): Promise<number> {
  return redis.xlen(keys.log)
}

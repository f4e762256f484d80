import type { Partition } from './partition.ts'

/** What Redis has in memory, in bytes; a limit of 0 is none. */
export interface StoreMemory {
  readonly usedBytes: number
  readonly limitBytes: number
}

/** Of several servers the fullest: its partitions are the first that intake is refused in. One command for each connection. */
export async function readFullestMemory(partitions: readonly Partition[]): Promise<StoreMemory> {
  const connections = new Set(partitions.map(({ redis }) => redis))
  const servers = await Promise.all([...connections].map((redis) => readStoreMemory({ redis })))
  const fullness = ({ usedBytes, limitBytes }: StoreMemory) => (limitBytes > 0 ? usedBytes / limitBytes : 0)
  // Without a limit the largest is what people look for.
  return servers.toSorted((a, b) => fullness(b) - fullness(a) || b.usedBytes - a.usedBytes)[0] as StoreMemory
}

export async function readStoreMemory({ redis }: Pick<Partition, 'redis'>): Promise<StoreMemory> {
  const info = await redis.info('memory')
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  return { usedBytes: field('used_memory'), limitBytes: field('maxmemory') }
}

/** How many entries the log of a partition has now. It is trimmed behind its slowest reader. */
export function logLength({ redis, keys }: Partition): Promise<number> {
  return redis.xlen(keys.log)
}

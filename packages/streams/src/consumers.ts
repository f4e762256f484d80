import type { Partition } from './partition.ts'
import { storeTime } from './store-clock.ts'

/** The pull consumers of a queue whose lease holds now, by name. */
export async function readPullConsumers(partition: Partition, address: string): Promise<string[]> {
  const alive = await partition.redis.zrangebyscore(partition.keys.consumers, await storeTime(partition), '+inf')
  return alive.filter((name) => name.startsWith(`${address}@`))
}

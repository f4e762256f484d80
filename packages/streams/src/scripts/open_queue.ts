import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('open_queue', 'allow-oom')

/** Make sure that queues exist, with their lanes and group. Returns how many were new. */
export async function openQueues(partition: Partition, addresses: readonly string[]): Promise<number> {
  if (addresses.length === 0) return 0
  return (await runScript(partition, script, addresses)) as number
}

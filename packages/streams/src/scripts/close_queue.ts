import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('close_queue', 'allow-oom')

/** Close a queue that is no longer declared. `busy`: jobs are left in it, ask again later. */
export async function closeQueue(partition: Partition, address: string): Promise<'closed' | 'busy' | 'unknown'> {
  return (await runScript(partition, script, [address])) as 'closed' | 'busy' | 'unknown'
}

import type { Partition } from '../partition.ts'
import type { By } from './cancel.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('discard', 'allow-oom')

/** Remove these dead letters of a queue for good. Returns the ids discarded. */
export async function discard(
  partition: Partition,
  { address, ids, by }: { address: string; ids: readonly string[]; by: By },
): Promise<string[]> {
  if (ids.length === 0) return []
  return (await runScript(partition, script, [address, JSON.stringify(by), ...ids])) as string[]
}

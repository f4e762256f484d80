import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('move_due', 'allow-oom')

/** Move jobs that are due into their lanes. `nextInMs`: how long until the next one, undefined when none waits. */
export async function moveDue(
  partition: Partition,
  { limit }: { limit: number },
): Promise<{ moved: number; nextInMs?: number }> {
  const [moved, next] = (await runScript(partition, script, [limit])) as [number, number]
  return next < 0 ? { moved } : { moved, nextInMs: next }
}

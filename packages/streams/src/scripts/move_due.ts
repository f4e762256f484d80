import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('move_due', 'allow-oom')

/**
 * Move jobs that are due into their lanes. `nextInMs`: how long until the next one, undefined when none waits; `failed`: what could
 * not be moved and was put off by a minute, each with why.
 */
export async function moveDue(
  partition: Partition,
  { limit }: { limit: number },
): Promise<{ moved: number; nextInMs?: number; failed: readonly string[] }> {
  const [moved, next, failed] = (await runScript(partition, script, [limit])) as [number, number, string[]]
  return { moved, failed, ...(next >= 0 && { nextInMs: next }) }
}

import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/**
 * Rises when the keys or their contents change so that older code could not read them; those of before are still read.
 * 1: entries of the log have a name before each value. 2: they are pairs (decision 0129). 3: what is claimed has left its
 * lane (decision 0130). 4: large payloads lie beside their lane (decision 0132). 5: lanes are lists (decision 0133).
 */
export const LAYOUT_VERSION = 5

// On a server that is full as well: who restarts there is to finish what was accepted.
const script = loadScript('boot', 'allow-oom')

/** Fix the number of partitions at first boot, and raise an older layout; returns what is stored, which the caller compares. */
export async function boot(
  registry: Partition,
  { partitions }: { partitions: number },
): Promise<{ partitions: number; layout: number }> {
  const [stored, layout] = (await runScript(registry, script, [partitions, LAYOUT_VERSION])) as [string, string]
  return { partitions: Number(stored), layout: Number(layout) }
}

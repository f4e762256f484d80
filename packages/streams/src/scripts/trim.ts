import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('trim', 'allow-oom')

/** Trim a log behind its slowest group, keeping about the newest `keep` facts. Returns how many entries went. */
export async function trimLog(partition: Partition, { keep }: { keep: number }): Promise<number> {
  return (await runScript(partition, script, [keep])) as number
}

import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('trim', 'allow-oom')

export interface TrimOptions {
  readonly keep: number
  /** Groups without which nothing is trimmed: somebody destroyed one, and its reader is about to make it again, or away. */
  readonly readers?: readonly string[]
}

/** Trim a log behind its slowest group, keeping about the newest `keep` facts. Returns how many entries went. */
export async function trimLog(partition: Partition, { keep, readers = [] }: TrimOptions): Promise<number> {
  return (await runScript(partition, script, [keep, ...readers])) as number
}

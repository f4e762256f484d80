import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('skip_behind', 'allow-oom')

/** Let a subscription that is too far back in the log of `source` go on behind `to`. True when it had to skip something. */
export async function skipBehind(
  partition: Partition,
  { address, source, to }: { address: string; source: number; to: string },
): Promise<boolean> {
  const [kind] = (await runScript(partition, script, [address, source, to])) as ['skipped' | 'unchanged']
  return kind === 'skipped'
}

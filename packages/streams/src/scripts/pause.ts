import type { Partition } from '../partition.ts'
import type { By } from './cancel.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('pause', 'allow-oom')

/** Pause or resume a queue, or one key of it, until the opposite is said. */
export async function pause(
  partition: Partition,
  {
    action,
    address,
    key = '',
    by,
  }: { action: 'pause' | 'resume'; address: string; key?: string; by: By & { at: string } },
): Promise<'paused' | 'resumed' | 'unchanged'> {
  const reply = await runScript(partition, script, [action, address, key, JSON.stringify(by)])
  return reply as 'paused' | 'resumed' | 'unchanged'
}

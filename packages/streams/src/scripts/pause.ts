import type { Partition } from '../partition.ts'
import type { By } from './cancel.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('pause', 'allow-oom')

/** Pause or resume a queue, or one key of it, or drain a queue: refuse new jobs and deliver what is in. Lasts until it is resumed. */
export async function pause(
  partition: Partition,
  {
    action,
    address,
    key = '',
    by,
  }: { action: 'pause' | 'drain' | 'resume'; address: string; key?: string; by: By & { at: string } },
): Promise<'paused' | 'draining' | 'resumed' | 'unchanged'> {
  const reply = await runScript(partition, script, [action, address, key, JSON.stringify(by)])
  return reply as 'paused' | 'draining' | 'resumed' | 'unchanged'
}

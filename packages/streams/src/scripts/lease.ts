import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

export type LeaseReply = { readonly kind: 'held'; readonly endMs: number } | { readonly kind: 'lost' | 'left' }

const script = loadScript('lease', 'allow-oom')

/** Join, renew or leave as a dispatcher of this partition. A name that was lost must not be used again. */
export async function lease(
  partition: Partition,
  { action, consumer, ttlMs = 0 }: { action: 'join' | 'renew' | 'leave'; consumer: string; ttlMs?: number },
): Promise<LeaseReply> {
  const [kind, endMs] = (await runScript(partition, script, [action, consumer, ttlMs])) as [LeaseReply['kind'], number]
  return kind === 'held' ? { kind, endMs } : { kind }
}

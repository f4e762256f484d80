import type { Partition } from '../partition.ts'
import type { By } from './cancel.ts'
import { loadScript, runScript } from './load.ts'

/** So long a redrive that has ended answers to its id. */
export const REDRIVE_KEPT_MS = 30 * 86_400_000

export interface RedriveAdvance {
  readonly id: string
  readonly address: string
  /** The state as it was read; undefined begins a redrive. */
  readonly from?: string
  readonly to: string
  readonly running: boolean
  readonly event?: { readonly type: string; readonly data: Record<string, unknown> }
  /** Jobs to put back with this step, and in whose name. */
  readonly ids?: readonly string[]
  readonly by: By
}

export type RedriveAdvanced =
  | { readonly kind: 'advanced' | 'closed' }
  /** It is in this state; undefined when there is none. */
  | { readonly kind: 'conflict'; readonly state?: string }
  /** These are dead letters no more; nothing was changed. */
  | { readonly kind: 'gone'; readonly ids: readonly string[] }

const script = loadScript('advance_redrive')

/** Take a redrive from the state that was read to the next one, if it is still in that state. */
export async function advanceRedrive(
  partition: Partition,
  { id, address, from = '', to, running, event, ids = [], by }: RedriveAdvance,
): Promise<RedriveAdvanced> {
  const reply = (await runScript(partition, script, [
    ...[id, from, to, running ? 'running' : 'ended', REDRIVE_KEPT_MS, address],
    ...[event?.type ?? '', event ? JSON.stringify(event.data) : ''],
    ...[JSON.stringify({ ...by, redriveId: id }), ...ids],
  ])) as [RedriveAdvanced['kind'], ...string[]]
  const [kind, ...rest] = reply
  switch (kind) {
    case 'conflict':
      return rest[0] ? { kind, state: rest[0] } : { kind }
    case 'gone':
      return { kind, ids: rest }
    default:
      return { kind }
  }
}

/** The state of a redrive as it is kept. */
export async function readRedrive({ redis, keys }: Partition, id: string): Promise<string | undefined> {
  return (await redis.hget(keys.redrives, id)) ?? undefined
}

/** The states of all redrives of a partition that are remembered, in no order. */
export function readRedrives({ redis, keys }: Partition): Promise<string[]> {
  return redis.hvals(keys.redrives)
}

/** The ids of the redrives that run. */
export function runningRedrives({ redis, keys }: Partition): Promise<string[]> {
  return redis.zrangebyscore(keys.redriveEnds, '+inf', '+inf')
}

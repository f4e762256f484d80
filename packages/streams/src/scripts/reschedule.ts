import type { Partition } from '../partition.ts'
import type { By } from './cancel.ts'
import type { NewJob } from './enqueue.ts'
import { dueArgument } from './enqueue.ts'
import { loadScript, runScript } from './load.ts'

export type Rescheduled =
  | { readonly kind: 'rescheduled'; readonly dueMs: number }
  | { readonly kind: 'waiting' | 'held' | 'running' | 'dead' | 'unknown' }

const script = loadScript('reschedule', 'allow-oom')

/** Give a scheduled job another time; any other kind says where the job is instead. */
export async function reschedule(
  partition: Partition,
  { id, due, by }: { id: string; due: NonNullable<NewJob['due']>; by: By },
): Promise<Rescheduled> {
  const reply = await runScript(partition, script, [id, dueArgument(due), JSON.stringify(by)])
  const [kind, dueMs] = reply as [Rescheduled['kind'], number]
  return kind === 'rescheduled' ? { kind, dueMs } : { kind }
}

import type { Backoff, Lane, UniqueMode } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** What travels with a job besides its payload; only what differs from the queue's own settings is set. */
export interface JobMeta {
  readonly retries?: number
  readonly timeoutMs?: number
  readonly expiresAtMs?: number
  readonly traceparent?: string
  /** Which line of a queue with a per-key limit the job stands in. */
  readonly key?: string
  readonly retryDelayMs?: number
  readonly backoff?: Backoff
  readonly unique?: { readonly key: string; readonly mode: UniqueMode }
}

export interface Unique {
  readonly key: string
  readonly mode: UniqueMode
  /** How long a throttle lasts, or a debounce waits. */
  readonly periodMs?: number
  /** The longest that a debounce puts its job off. */
  readonly maxWaitMs?: number
}

export interface NewJob {
  /** `<ns>/<queue>` */
  readonly address: string
  readonly lane: Lane
  /** Not before this time (ms), or so many ms from the server's now. */
  readonly due?: { readonly atMs: number } | { readonly inMs: number }
  readonly idempotency?: { readonly key: string; readonly fingerprint: string }
  readonly unique?: Unique
  readonly meta?: JobMeta
  /** JSON text, kept and delivered byte for byte. */
  readonly data: string
}

/**
 * `duplicate`: the unique key is taken by the job named; `debounced`: that job has the new payload now; `refused`: another
 * job of the same atomic batch conflicts, and none was accepted; `closed`: the queue was drained and closed, and is to be
 * opened before it takes jobs again.
 */
export interface Enqueued {
  readonly kind: 'enqueued' | 'replayed' | 'conflict' | 'duplicate' | 'debounced' | 'refused' | 'closed'
  readonly id: string
}

/** A day: long enough for any producer's own retries, short enough that keys do not pile up. */
export const IDEMPOTENCY_WINDOW_MS = 86_400_000

const script = loadScript('enqueue')

/** Accept jobs of one partition in one step; the results stand in the order of the jobs. */
export async function enqueue(
  partition: Partition,
  jobs: readonly NewJob[],
  { atomic = false }: { atomic?: boolean } = {},
): Promise<Enqueued[]> {
  const args: (string | number)[] = [IDEMPOTENCY_WINDOW_MS, atomic ? 'atomic' : '']
  for (const job of jobs) {
    const meta = job.meta ? JSON.stringify(job.meta) : ''
    args.push(
      job.address,
      job.lane,
      dueArgument(job.due),
      job.idempotency?.key ?? '',
      job.idempotency?.fingerprint ?? '',
      job.unique ? JSON.stringify(job.unique) : '',
      meta,
      job.data,
      meta ? `,"meta":${meta}` : '',
    )
  }
  const reply = (await runScript(partition, script, args)) as [Enqueued['kind'], string][]
  return reply.map(([kind, id]) => ({ kind, id }))
}

/** A due time as the scripts take it. */
export function dueArgument(due: NewJob['due']): string {
  if (!due) return ''
  return 'atMs' in due ? String(due.atMs) : `+${due.inMs}`
}

import type { Lane } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** What travels with a job besides its payload; only what differs from the queue's own settings is set. */
export interface JobMeta {
  readonly retries?: number
  readonly timeoutMs?: number
  readonly expiresAtMs?: number
  readonly traceparent?: string
}

export interface NewJob {
  /** `<ns>/<queue>` */
  readonly address: string
  readonly lane: Lane
  /** Not before this time (ms), or so many ms from the server's now. */
  readonly due?: { readonly atMs: number } | { readonly inMs: number }
  readonly idempotency?: { readonly key: string; readonly fingerprint: string }
  readonly meta?: JobMeta
  /** JSON text, kept and delivered byte for byte. */
  readonly data: string
}

export type Enqueued =
  | { readonly kind: 'enqueued'; readonly id: string }
  | { readonly kind: 'replayed'; readonly id: string }
  | { readonly kind: 'conflict'; readonly id: string }
  /** The queue was drained and closed, and is to be opened before it takes jobs again. */
  | { readonly kind: 'closed'; readonly id: '' }

/** A day: long enough for any producer's own retries, short enough that keys do not pile up. */
export const IDEMPOTENCY_WINDOW_MS = 86_400_000

const script = loadScript('enqueue')

/** Accept jobs of one partition in one step; the results stand in the order of the jobs. */
export async function enqueue(partition: Partition, jobs: readonly NewJob[]): Promise<Enqueued[]> {
  const args: (string | number)[] = [IDEMPOTENCY_WINDOW_MS]
  for (const job of jobs) {
    const meta = job.meta ? JSON.stringify(job.meta) : ''
    args.push(
      job.address,
      job.lane,
      dueArgument(job.due),
      job.idempotency?.key ?? '',
      job.idempotency?.fingerprint ?? '',
      meta,
      job.data,
      meta ? `,"meta":${meta}` : '',
    )
  }
  const reply = (await runScript(partition, script, args)) as [Enqueued['kind'], string][]
  return reply.map(([kind, id]) => ({ kind, id }) as Enqueued)
}

function dueArgument(due: NewJob['due']): string {
  if (!due) return ''
  return 'atMs' in due ? String(due.atMs) : `+${due.inMs}`
}

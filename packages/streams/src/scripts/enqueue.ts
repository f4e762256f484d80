import { type Backoff, formatId, type Lane, parsePosition, type UniqueMode } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import { packPayload } from '../payload.ts'
import type { Paused } from './find_job.ts'
import { loadScript, runScript } from './load.ts'

/** What travels with a job besides its payload; only what differs from the queue's own settings is set. */
export interface JobMeta {
  readonly retries?: number
  readonly timeoutMs?: number
  readonly expiresAtMs?: number
  readonly traceparent?: string
  readonly tracestate?: string
  /** Which line of a queue with a per-key limit the job stands in. */
  readonly key?: string
  readonly retryDelayMs?: number
  readonly backoff?: Backoff
  readonly unique?: { readonly key: string; readonly mode: UniqueMode }
  /** Of a run of a schedule: its tick, its row in the ledger, and what it costs when it succeeds. */
  readonly tick?: { readonly id: string; readonly name: string; readonly gas?: number }
  /** Of an event that is delivered again: the replay's id, or `moved` where its subscription was taken back. */
  readonly replay?: string
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
 * opened before it takes jobs again; `draining`: somebody has it drained, `by` says who.
 */
export interface Enqueued {
  readonly kind: 'enqueued' | 'replayed' | 'conflict' | 'duplicate' | 'debounced' | 'refused' | 'closed' | 'draining'
  readonly id: string
  readonly by?: Paused
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
  for (let next = 0; next < jobs.length; ) {
    const run = plainRun(jobs, next)
    if (run === 0) args.push('one', ...jobArguments(jobs[next] as NewJob))
    else {
      const { address, lane } = jobs[next] as NewJob
      args.push('plain', address, lane, run)
      for (let i = next; i < next + run; i++) args.push(packPayload((jobs[i] as NewJob).data))
    }
    next += Math.max(1, run)
  }
  const confirm = partition.beginWrite?.()
  const reply = (await runScript(partition, script, args)) as Reply[]
  await confirm?.()
  return reply.flatMap((one) => readReply(one, partition.number))
}

type Reply = [kind: Enqueued['kind'], id: string] | [kind: 'run', position: string, jobs: number]

function readReply([kind, id, count]: Reply, partition: number): Enqueued | Enqueued[] {
  if (kind === 'draining') return { kind, id: '', by: JSON.parse(id) as Paused }
  if (kind !== 'run') return { kind, id }
  const { ms, seq } = parsePosition(id)
  return Array.from({ length: count }, (_, i) => ({
    kind: 'enqueued',
    id: formatId({ prefix: 'job', ms, seq: seq + i, partition }),
  }))
}

/** How many jobs from here on go to one lane and bring nothing but a payload. */
function plainRun(jobs: readonly NewJob[], from: number): number {
  const first = jobs[from] as NewJob
  let next = from
  for (let job = jobs[next]; job && isPlain(job); job = jobs[++next]) {
    if (job.address !== first.address || job.lane !== first.lane) break
  }
  return next - from
}

function isPlain({ due, idempotency, unique, meta }: NewJob): boolean {
  return due === undefined && idempotency === undefined && unique === undefined && meta === undefined
}

function jobArguments(job: NewJob): string[] {
  const meta = job.meta ? JSON.stringify(job.meta) : ''
  return [
    job.address,
    job.lane,
    dueArgument(job.due),
    job.idempotency?.key ?? '',
    job.idempotency?.fingerprint ?? '',
    job.unique ? JSON.stringify(job.unique) : '',
    meta,
    packPayload(job.data),
    meta ? `,"meta":${meta}` : '',
  ]
}

/** A due time as the scripts take it. */
export function dueArgument(due: NewJob['due']): string {
  if (!due) return ''
  return 'atMs' in due ? String(due.atMs) : `+${due.inMs}`
}

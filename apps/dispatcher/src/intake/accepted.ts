import { type EnqueueRequest, ProblemError } from '@millrace/contracts'
import type { Enqueued, NewJob, Paused } from '@millrace/streams'

/** A drain lasts minutes or hours; a producer that asks twice a minute notices its end soon enough. */
const DRAIN_RETRY_SECONDS = 30

/** What a producer is told; `deduplicated` when no new job was made. */
export interface Accepted {
  readonly id: string
  readonly deduplicated?: 'idempotency_key' | 'unique' | 'debounced'
}

/** What the script said about a job, as its producer is told; a refusal is thrown. */
export function toAccepted(
  { request: { namespace, queue }, job }: { request: EnqueueRequest; job: NewJob },
  { kind, id, by }: Enqueued,
): Accepted {
  switch (kind) {
    case 'enqueued':
      return { id }
    case 'replayed':
      return { id, deduplicated: 'idempotency_key' }
    case 'duplicate':
      return { id, deduplicated: 'unique' }
    case 'debounced':
      return { id, deduplicated: 'debounced' }
    case 'conflict':
      throw new ProblemError(
        'idempotency.conflict',
        `The idempotency key "${job.idempotency?.key}" was used${id ? ` for job ${id}` : ''} with another body. Use a new key for a new job.`,
      )
    case 'refused':
      throw new ProblemError(
        'batch.refused',
        'Another job of the batch conflicts, so this one was not accepted either.',
      )
    case 'closed':
      throw new ProblemError('queue.closing', `Queue "${queue}" of ${namespace} was closed just now.`)
    case 'draining':
      throw new ProblemError(
        'queue.draining',
        `Queue "${queue}" of ${namespace} ${drainedBy(by)}; it takes no new jobs until it is resumed.`,
        {
          retryAfterSeconds: DRAIN_RETRY_SECONDS,
        },
      )
    default:
      return kind satisfies never
  }
}

function drainedBy(by: Paused | undefined): string {
  return `has been drained by ${by?.who} since ${by?.at}${by?.why === undefined ? '' : ` (${by.why})`}`
}

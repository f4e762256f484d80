import { traceIdIn, traceIdOf } from '@millrace/engine'
import type { ClaimedJob, Settlement } from '@millrace/streams'
import type { DeliveryLog, SpanIds } from './attempt.ts'

/** One line for each attempt that did not succeed; successes are told at the level of debugging. */
export function logAttempt(
  logger: DeliveryLog,
  queue: string,
  { job, settlement, span }: { job: ClaimedJob; settlement: Settlement; span?: SpanIds | undefined },
): void {
  if (settlement.kind === 'succeeded' && !logger.isLevelEnabled?.('debug')) return
  const { attempt } = job
  const { kind, durationMs } = settlement
  const fields = { event: `job.${kind}`, jobId: job.id, ...traceOf(job, span), queue, attempt, durationMs }
  if (settlement.kind === 'succeeded') {
    logger.debug({ ...fields, status: settlement.status }, 'job succeeded')
    return
  }
  if (settlement.kind === 'leased') {
    logger.debug({ ...fields, leaseMs: settlement.leaseMs }, 'the worker took the job over')
    return
  }
  const { reason, lastResponse } = settlement
  const detail = { ...fields, reason, status: lastResponse.status, error: lastResponse.error }
  switch (settlement.kind) {
    case 'retry':
    case 'postpone':
      logger.warn({ ...detail, delayMs: settlement.delayMs }, 'attempt failed, will try again')
      break
    case 'cancelled':
      logger.info(detail, 'job cancelled')
      break
    case 'dead':
      logger.error(detail, 'job is a dead letter')
      break
    default:
      settlement satisfies never
  }
}

/** The names that log stores know a trace by. Without a span of ours it is the producer's trace, or the one made of the job's id. */
function traceOf({ id, meta }: ClaimedJob, span: SpanIds | undefined) {
  if (span) return { trace_id: span.traceId, span_id: span.spanId }
  return { trace_id: meta.traceparent ? traceIdIn(meta.traceparent) : traceIdOf(id) }
}

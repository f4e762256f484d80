import { traceIdIn, traceIdOf } from '@millrace/engine'
import type { Logger } from '@millrace/runtime'
import type { ClaimedJob, Settlement } from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'

export interface QueueLabels {
  readonly namespace: string
  readonly queue: string
}

/** One line for each attempt that did not succeed; successes are told at the level of debugging. */
export function logAttempt(logger: Logger, queue: string, job: ClaimedJob, settlement: Settlement): void {
  if (settlement.kind === 'succeeded' && !logger.isLevelEnabled('debug')) return
  const traceId = job.meta.traceparent ? traceIdIn(job.meta.traceparent) : traceIdOf(job.id)
  const { attempt } = job
  const { kind, durationMs } = settlement
  const fields = { event: `job.${kind}`, jobId: job.id, traceId, queue, attempt, durationMs }
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

/** Counts the attempts of one queue. The labels of the common case are looked up once, not for each job. */
export function createAttemptCounter(metrics: DispatcherMetrics, labels: QueueLabels) {
  const succeeded = { ...labels, outcome: 'succeeded' }
  const attempts = metrics.attempts.labels({ ...succeeded, reason: '' })
  const duration = metrics.duration.labels(succeeded)
  const finished = metrics.finished.labels(succeeded)

  return (settlement: Settlement, settled: 'settled' | 'late'): void => {
    if (settled === 'settled' && settlement.kind === 'succeeded') {
      attempts.inc()
      duration.observe(settlement.durationMs / 1000)
      finished.inc()
      return
    }
    const reason = 'reason' in settlement ? settlement.reason : ''
    const outcome = settled === 'late' ? 'late' : settlement.kind
    metrics.attempts.inc({ ...labels, outcome, reason })
    metrics.duration.observe({ ...labels, outcome }, settlement.durationMs / 1000)
    if (outcome === 'dead' || outcome === 'cancelled') metrics.finished.inc({ ...labels, outcome })
  }
}

import { idTimeMs } from '@millrace/contracts'
import type { Clock } from '@millrace/runtime'
import type { ClaimedJob, Settled, Settlement } from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'

export interface QueueLabels {
  readonly namespace: string
  readonly queue: string
}

export interface AttemptCounterDeps {
  readonly metrics: Pick<
    DispatcherMetrics,
    'attempts' | 'duration' | 'finished' | 'completion' | 'attemptsPerJob' | 'deadLetters'
  >
  readonly clock: Clock
}

/** Counts the attempts of one queue. The cells of the common case are asked for once, not for each job. */
export function createAttemptCounter(labels: QueueLabels, { metrics, clock }: AttemptCounterDeps) {
  const succeeded = { ...labels, outcome: 'succeeded' as const }
  const attempts = metrics.attempts.labels({ ...succeeded, reason: '' })
  const duration = metrics.duration.labels(succeeded)
  const perJob = metrics.attemptsPerJob.labels(labels)
  const ends = {
    succeeded: endCells('succeeded', labels, metrics),
    dead: endCells('dead', labels, metrics),
    cancelled: endCells('cancelled', labels, metrics),
  }

  return (settlement: Settlement, settled: Settled, job: ClaimedJob): void => {
    const outcome = settled === 'late' ? 'late' : settlement.kind
    const reason = 'reason' in settlement ? settlement.reason : ''
    const seconds = settlement.durationMs / 1000
    const { traceparent } = job.meta
    if (outcome === 'succeeded') {
      attempts.inc()
      duration.observe(seconds, traceparent)
    } else {
      metrics.attempts.inc({ ...labels, outcome, reason })
      metrics.duration.observe({ ...labels, outcome }, seconds, traceparent)
    }
    if (outcome !== 'succeeded' && outcome !== 'dead' && outcome !== 'cancelled') return
    const { finished, completion } = ends[outcome]
    finished.inc()
    completion.observe(Math.max(0, clock.now() - idTimeMs(job.id)) / 1000, traceparent)
    perJob.observe(job.attempt)
    if (outcome === 'dead' && reason !== '') metrics.deadLetters.inc({ ...labels, reason })
  }
}

/** All of them from the start, so that Prometheus sees the first end of each kind as an increase. */
function endCells(
  outcome: 'succeeded' | 'dead' | 'cancelled',
  queue: QueueLabels,
  { finished, completion }: AttemptCounterDeps['metrics'],
) {
  const labels = { ...queue, outcome }
  return { finished: finished.labels(labels), completion: completion.labels(labels) }
}

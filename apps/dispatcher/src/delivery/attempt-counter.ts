import type { Settlement } from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'

export interface QueueLabels {
  readonly namespace: string
  readonly queue: string
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

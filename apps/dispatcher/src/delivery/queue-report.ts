import { logAttempt, type QueueReport } from '@millrace/delivery'
import type { Clock, Logger } from '@millrace/runtime'
import { splitAddress } from '@millrace/streams'
import { reportEnd } from '../job-ends.ts'
import type { DispatcherMetrics } from '../metrics.ts'
import { createAttemptCounter } from './attempt-counter.ts'

/** What a dispatcher tells of a queue: to its metrics, and to its log. */
export function createQueueReport(
  address: string,
  { metrics, logger, clock }: { metrics: DispatcherMetrics; logger: Logger; clock: Clock },
): QueueReport {
  const labels = splitAddress(address)
  const wait = metrics.wait.labels(labels)
  const takeovers = metrics.takeovers.labels(labels)
  const inFlight = metrics.inFlight.labels(labels)
  return {
    waited: (ms, job) => wait.observe(ms / 1000, job.meta.traceparent),
    inFlight: (count) => inFlight.set(count),
    tookOver: (count) => takeovers.inc(count),
    expired(jobIds) {
      for (const jobId of jobIds) reportEnd({ metrics, logger }, { address, jobId, outcome: 'expired' })
    },
    attempted: (job, settlement, span) => logAttempt(logger, address, { job, settlement, span }),
    settled: createAttemptCounter(labels, { metrics, clock }),
    lost: () => metrics.attempts.inc({ ...labels, outcome: 'lost', reason: 'lease_lost' }),
  }
}

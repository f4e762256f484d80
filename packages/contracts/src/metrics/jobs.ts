import { FAILURE_REASONS } from '../jobs-api.ts'
import { BUCKETS } from './buckets.ts'
import type { MetricDefinitions } from './definition.ts'

/** How an attempt ends that is settled in time. */
const SETTLED = {
  succeeded: '',
  retry: '',
  postpone: 'a retry that does not count',
  dead: '',
  cancelled: '',
  leased: 'its worker took it over',
} as const

/** How a job ends: each is counted by the dispatcher that saw it, by an attempt, a command, a worker, a claim or a take over. */
const ENDS = { succeeded: '', dead: '', cancelled: '', expired: '' } as const

/** Jobs and the attempts at them, as dispatchers count them. */
export const JOB_METRICS = {
  enqueued: {
    name: 'millrace_jobs_enqueued_total',
    type: 'counter',
    unit: 'requests',
    help: 'Enqueue requests by result',
    subject: 'queue',
    labels: {
      result: {
        enqueued: '',
        replayed: 'a known idempotency key',
        duplicate: 'a taken unique key',
        debounced: '',
        conflict: 'an idempotency key with another payload',
        refused: 'by another job of an atomic batch',
        closed: '',
        draining: '',
      },
    },
  },
  finished: {
    name: 'millrace_jobs_finished_total',
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs that reached their end, by outcome',
    subject: 'queue',
    labels: { outcome: ENDS },
  },
  attempts: {
    name: 'millrace_delivery_attempts_total',
    type: 'counter',
    unit: 'attempts',
    help: 'Delivery attempts by outcome and reason',
    subject: 'queue',
    labels: {
      outcome: { ...SETTLED, late: 'settled too late, so it does not count', lost: 'the lease was gone' },
      reason: ['', 'lease_lost', ...FAILURE_REASONS],
    },
  },
  deadLetters: {
    name: 'millrace_dead_letters_total',
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs that became dead letters, by the reason of the last attempt',
    subject: 'queue',
    labels: { reason: FAILURE_REASONS },
  },
  redriven: {
    name: 'millrace_dead_letters_redriven_total',
    type: 'counter',
    unit: 'jobs',
    help: 'Dead letters put back into their queue through this process',
    subject: 'queue',
  },
  wait: {
    name: 'millrace_delivery_wait_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from ready to the start of an attempt',
    subject: 'queue',
    buckets: BUCKETS.wait,
  },
  duration: {
    name: 'millrace_delivery_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time an endpoint took to answer',
    subject: 'queue',
    labels: { outcome: { ...SETTLED, late: 'settled too late, so it does not count' } },
    buckets: BUCKETS.delivery,
  },
  completion: {
    name: 'millrace_delivery_completion_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from accepted to final, for jobs that an attempt ended',
    subject: 'queue',
    labels: { outcome: { succeeded: '', dead: '', cancelled: '' } },
    buckets: BUCKETS.wait,
  },
  attemptsPerJob: {
    // Not millrace_delivery_attempts: in OpenMetrics that is the family of the counter millrace_delivery_attempts_total.
    name: 'millrace_job_attempts',
    type: 'histogram',
    unit: 'attempts',
    help: 'Attempts at a job, for jobs that an attempt ended',
    subject: 'queue',
    buckets: BUCKETS.attempts,
  },
  batchJobs: {
    name: 'millrace_delivery_batch_jobs',
    type: 'histogram',
    unit: 'jobs',
    help: 'Jobs in one request of a queue with batches',
    subject: 'queue',
    buckets: BUCKETS.batch,
  },
  inFlight: {
    name: 'millrace_delivery_in_flight',
    type: 'gauge',
    unit: 'requests',
    help: 'Requests under way in this process',
    subject: 'queue',
    rest: 'sum',
  },
  takeovers: {
    name: 'millrace_takeovers_total',
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs taken over from dispatchers whose lease lapsed',
    subject: 'queue',
  },
  leasesLost: {
    name: 'millrace_leases_lost_total',
    type: 'counter',
    unit: 'times',
    help: 'Times this process lost its lease on a partition',
  },
} as const satisfies MetricDefinitions

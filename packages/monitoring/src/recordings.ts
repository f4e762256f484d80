import { JOB_METRICS, QUEUE_METRICS, SCHEDULE_METRICS, SUBSCRIPTION_METRICS } from '@millrace/contracts'
import { bucketRates, quantile, series } from './expression.ts'

export interface Recording {
  /** `level:metric:operations`, as Prometheus recommends. */
  readonly record: string
  readonly expr: string
}

const QUEUE = 'namespace, queue'
const SCHEDULE = 'namespace, schedule'

/** Seconds since a time of day, 0 when there is none. All processes say the same, so one of them is enough. */
const ageOf = (timestamp: string, by: string) =>
  `(time() - max by (${by}) (${timestamp})) * (max by (${by}) (${timestamp}) > bool 0)`

const waitingSince = series(QUEUE_METRICS.oldest)
const undeliveredSince = series(SUBSCRIPTION_METRICS.subscriptionOldest)

/** What several panels and alerts read: put together once, over all processes. */
export const RECORDINGS = {
  queueJobs: {
    record: 'namespace_queue_state:millrace_queue_jobs:max',
    expr: `max by (${QUEUE}, state) (${series(QUEUE_METRICS.jobs)})`,
  },
  queueAge: {
    record: 'namespace_queue:millrace_queue_oldest_waiting_age_seconds:max',
    expr: ageOf(waitingSince, QUEUE),
  },
  deadLetters: {
    record: 'namespace_queue:millrace_dead_letters:max',
    expr: `max by (${QUEUE}) (${series(QUEUE_METRICS.dead)})`,
  },
  finished: {
    record: 'namespace_queue_outcome:millrace_jobs_finished:rate5m',
    expr: `sum by (${QUEUE}, outcome) (rate(${series(JOB_METRICS.finished)}[5m]))`,
  },
  attempts: {
    record: 'namespace_queue:millrace_delivery_attempts:rate5m',
    expr: `sum by (${QUEUE}) (rate(${series(JOB_METRICS.attempts)}[5m]))`,
  },
  failures: {
    record: 'namespace_queue:millrace_delivery_attempts_failed:rate5m',
    expr: `sum by (${QUEUE}) (rate(${series(JOB_METRICS.attempts, {}, ['outcome=~"retry|dead"'])}[5m]))`,
  },
  waitP95: {
    record: 'namespace_queue:millrace_delivery_wait_seconds:p95_5m',
    expr: quantile(0.95, bucketRates(JOB_METRICS.wait, ['namespace', 'queue'])),
  },
  durationP95: {
    record: 'namespace_queue:millrace_delivery_duration_seconds:p95_5m',
    expr: quantile(0.95, bucketRates(JOB_METRICS.duration, ['namespace', 'queue'])),
  },
  scheduleNext: {
    record: 'namespace_schedule:millrace_schedule_next_fire_timestamp_seconds:max',
    expr: `max by (${SCHEDULE}) (${series(SCHEDULE_METRICS.next)})`,
  },
  scheduleDelayP99: {
    record: 'millrace_schedule_delay_seconds:p99_5m',
    expr: quantile(0.99, bucketRates(SCHEDULE_METRICS.delay, [])),
  },
  subscriptionAge: {
    record: 'namespace_queue:millrace_subscription_oldest_undelivered_age_seconds:max',
    expr: ageOf(undeliveredSince, QUEUE),
  },
} as const satisfies Record<string, Recording>

import { BUCKETS } from './buckets.ts'
import type { MetricDefinitions } from './definition.ts'

/** What schedulers say: each of the same schedules, and of the ticks that it fired itself. */
export const SCHEDULE_METRICS = {
  ticks: {
    name: 'millrace_schedule_ticks_total',
    type: 'counter',
    unit: 'times',
    help: 'Nominal times by what became of them',
    subject: 'schedule',
    labels: {
      result: { fired: 'late ones included', triggered: 'by hand', backfilled: '', skipped: '', missed: '' },
    },
  },
  delay: {
    name: 'millrace_schedule_delay_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: "Time from a planned tick's time, jitter included, to its enqueued job",
    subject: 'schedule',
    buckets: BUCKETS.delay,
  },
  next: {
    name: 'millrace_schedule_next_fire_timestamp_seconds',
    type: 'gauge',
    unit: 'timestamp',
    help: 'When it fires next, jitter included; 0 when it never fires again',
    subject: 'schedule',
    rest: 'earliest',
  },
  lastSuccess: {
    name: 'millrace_schedule_last_success_timestamp_seconds',
    type: 'gauge',
    unit: 'timestamp',
    help: 'When a run last succeeded; 0 when none has',
    subject: 'schedule',
    rest: 'earliest',
  },
  paused: {
    name: 'millrace_schedule_paused',
    type: 'gauge',
    unit: 'boolean',
    help: '1 while it is paused, by hand or by the manifest',
    subject: 'schedule',
    rest: 'max',
  },
} as const satisfies MetricDefinitions

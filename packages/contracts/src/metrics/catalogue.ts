import { AUDIT_METRICS } from './audit.ts'
import type { MetricDefinition, MetricDefinitions } from './definition.ts'
import { JOB_METRICS } from './jobs.ts'
import { PROCESS_METRICS } from './processes.ts'
import { QUEUE_METRICS } from './queues.ts'
import { SCHEDULE_METRICS } from './schedules.ts'
import { SUBSCRIPTION_METRICS } from './subscriptions.ts'

export const DISPATCHER_METRICS = { ...JOB_METRICS, ...QUEUE_METRICS, ...SUBSCRIPTION_METRICS }

/** Every metric of ours by the app that has it, besides those that all have. */
export const METRICS_OF_APPS = {
  dispatcher: { port: 7401, metrics: DISPATCHER_METRICS },
  scheduler: { port: 7402, metrics: SCHEDULE_METRICS },
  audit: { port: 7403, metrics: AUDIT_METRICS },
} as const satisfies Record<string, { port: number; metrics: MetricDefinitions }>
export type MetricsApp = keyof typeof METRICS_OF_APPS

/** Every metric of ours, once. */
export const METRICS: readonly MetricDefinition[] = [
  ...Object.values(METRICS_OF_APPS).flatMap(({ metrics }) => Object.values(metrics) as MetricDefinition[]),
  ...Object.values(PROCESS_METRICS),
]

import type { Alert } from './alert.ts'
import { AUDIT_ALERTS } from './audit.ts'
import { PROCESS_ALERTS } from './processes.ts'
import { QUEUE_ALERTS } from './queues.ts'
import { SCHEDULE_ALERTS } from './schedules.ts'
import { SUBSCRIPTION_ALERTS } from './subscriptions.ts'

/** Every alert, by the name of its group. */
export const ALERT_GROUPS: Readonly<Record<string, readonly Alert[]>> = {
  queues: QUEUE_ALERTS,
  schedules: SCHEDULE_ALERTS,
  subscriptions: SUBSCRIPTION_ALERTS,
  audit: AUDIT_ALERTS,
  processes: PROCESS_ALERTS,
}

export const ALERTS: readonly Alert[] = Object.values(ALERT_GROUPS).flat()

import { AUDIT } from './audit.ts'
import type { Dashboard } from './dashboard.ts'
import { OVERVIEW } from './overview.ts'
import { QUEUE } from './queue.ts'
import { SCHEDULES } from './schedules.ts'
import { SUBSCRIPTIONS } from './subscriptions.ts'

export const DASHBOARDS: readonly Dashboard[] = [OVERVIEW, QUEUE, SCHEDULES, SUBSCRIPTIONS, AUDIT]

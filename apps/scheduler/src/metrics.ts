import type { SCHEDULE_METRICS } from '@millrace/contracts'
import type { InstrumentsOf } from '@millrace/runtime'

/** Everything the scheduler counts. */
export type SchedulerMetrics = InstrumentsOf<typeof SCHEDULE_METRICS>

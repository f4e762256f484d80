import type { DISPATCHER_METRICS } from '@millrace/contracts'
import type { InstrumentsOf } from '@millrace/runtime'

/** Everything the dispatcher counts. */
export type DispatcherMetrics = InstrumentsOf<typeof DISPATCHER_METRICS>

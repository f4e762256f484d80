import type { RunOptions } from './chaos.ts'
import { FAULT_NAMES } from './plan.ts'

type Settings = Omit<RunOptions, 'seed' | 'durationMs' | 'store' | 'say'>

/** Two of each process, leases as they are by default, faults as long as they like: `npm run chaos`. */
export const LONG: Settings = {
  ...{ dispatchers: 2, schedulers: 2, workers: 2, leaseMs: 6000 },
  faults: FAULT_NAMES,
  ...{ pauseMs: [500, 4000], doublePercent: 25, scale: 1, perSecond: 60 },
}

/** What fits into `npm test`: few processes, short leases, short faults close together. */
export const SHORT: Settings = {
  ...{ dispatchers: 2, schedulers: 1, workers: 1, leaseMs: 1500 },
  faults: FAULT_NAMES,
  ...{ pauseMs: [0, 200], doublePercent: 50, scale: 0.15, perSecond: 40 },
}

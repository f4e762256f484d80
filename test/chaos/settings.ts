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

/**
 * What is between one process and Redis can be broken only where there is one Redis. The nodes of a cluster tell all processes the same
 * address, so there the network of a node is broken, for everybody (`node cut` and its like).
 */
const NETWORKS: readonly string[] = ['cut', 'stall', 'half-open', 'slow']
const onSeveral = FAULT_NAMES.filter((name) => !NETWORKS.includes(name))

/** Without it, what a primary had acknowledged and not passed on would be lost with it, and that is no fault of ours. */
const WAITING = { MILLRACE_WAIT_REPLICAS: '1' }

/** On a cluster, two audit processes as well: `npm run chaos -- --redis cluster`. */
export const LONG_ON_SEVERAL: Settings = { ...LONG, audits: 2, faults: onSeveral, env: WAITING }

/** One death of a primary, one whose network is cut and one slot that moves, with two of everything at work. */
export const SHORT_ON_SEVERAL: Settings = {
  ...{ dispatchers: 2, schedulers: 2, audits: 2, workers: 1, leaseMs: 1500 },
  faults: ['slot move', 'primary kill', 'node cut'],
  ...{ pauseMs: [0, 200], doublePercent: 0, scale: 0.15, perSecond: 20 },
  env: WAITING,
}

/**
 * Steady load and a fault each minute: `npm run soak`. No process is killed, since it is their memory that is watched; what
 * Redis keeps for later is kept short, so that its memory is level soon.
 */
export const SOAK: Settings = {
  ...LONG,
  ...{ pauseMs: [50_000, 58_000], doublePercent: 0 },
  faults: FAULT_NAMES.filter((name) => name !== 'kill'),
  env: { MILLRACE_EVENT_RETENTION_MS: '60000', MILLRACE_LOG_KEEP: '5000', MILLRACE_LEDGER_KEEP: '100' },
}

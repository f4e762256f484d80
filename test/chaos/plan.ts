import { createRandom } from './random.ts'

/** What may befall the platform. Each is what `faults.ts` does under this name. */
export const FAULTS = {
  kill: { of: ['dispatcher', 'scheduler', 'audit', 'worker'], forMs: [0, 5000] },
  stop: { of: ['dispatcher', 'scheduler', 'audit', 'worker'], forMs: [300, 10_000] },
  'redis kill': { of: ['single'], forMs: [0, 3000] },
  // Lasts until another one has taken over and the old one is its replica.
  'primary kill': { of: ['cluster', 'sentinel'], forMs: [0, 1000] },
  'slot move': { of: ['cluster'], forMs: [0, 0] },
  // Past 5 s clients give their connections up.
  'redis stop': { of: ['single'], forMs: [200, 7000] },
  cut: { of: ['dispatcher', 'scheduler', 'audit', 'worker'], forMs: [0, 4000] },
  stall: { of: ['dispatcher', 'scheduler', 'audit', 'worker'], forMs: [300, 9000] },
  // Lasts until the process itself has given the dead connections up.
  'half-open': { of: ['dispatcher', 'scheduler', 'audit', 'worker'], forMs: [0, 0] },
  slow: { of: ['dispatcher', 'scheduler', 'audit', 'worker'], forMs: [1000, 8000] },
  // The same of the network between everybody and one primary, and of the link to its replica.
  'node cut': { of: ['cluster'], forMs: [0, 4000] },
  'node stall': { of: ['cluster'], forMs: [300, 9000] },
  'node half-open': { of: ['cluster'], forMs: [0, 0] },
  'node slow': { of: ['cluster'], forMs: [1000, 8000] },
  clock: { of: ['dispatcher', 'scheduler', 'audit', 'worker'], forMs: [1000, 8000] },
  'disk full': { of: ['sqlite'], forMs: [1000, 6000] },
  'database kill': { of: ['postgres'], forMs: [0, 3000] },
} as const satisfies Record<string, { readonly of: readonly string[]; readonly forMs: readonly [number, number] }>

export type FaultName = keyof typeof FAULTS
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[]

export interface PlannedFault {
  readonly fault: FaultName
  readonly target: string
  readonly forMs: number
}

/** A pause, then faults that begin together and hit different targets. The next step comes when all of them are over. */
export interface Step {
  readonly pauseMs: number
  readonly faults: readonly PlannedFault[]
}

export interface PlanOptions {
  readonly seed: number
  /** What there is, by role: `{ dispatcher: ['dispatcher-1', 'dispatcher-2'], redis: ['redis'], … }`. */
  readonly targets: Readonly<Record<string, readonly string[]>>
  readonly faults: readonly FaultName[]
  readonly pauseMs: readonly [number, number]
  /** How many of a hundred steps have a second fault beside the first. */
  readonly doublePercent: number
  /** What the durations are multiplied with: a short run has short faults. */
  readonly scale: number
}

/** The steps of a run, without an end: the same seed gives the same steps. Every fault comes once before any comes again. */
export function* planFaults({ seed, targets, faults, pauseMs, doublePercent, scale }: PlanOptions): Generator<Step> {
  const random = createRandom(seed)
  const targetsOf = (fault: FaultName) => FAULTS[fault].of.flatMap((role) => targets[role] ?? [])
  const possible = faults.filter((fault) => targetsOf(fault).length > 0)
  let deck: FaultName[] = []
  const draw = (taken: readonly string[]): PlannedFault | undefined => {
    if (deck.length === 0) deck = random.shuffled(possible)
    const fault = deck[0] as FaultName
    const free = targetsOf(fault).filter((target) => !taken.includes(target))
    if (free.length === 0) return undefined
    deck.shift()
    const [low, high] = FAULTS[fault].forMs
    return { fault, target: random.pick(free), forMs: Math.round(random.between(low, high) * scale) }
  }
  for (;;) {
    const pause = random.between(...pauseMs)
    const first = draw([]) as PlannedFault
    const second = random.next() * 100 < doublePercent ? draw([first.target]) : undefined
    yield { pauseMs: pause, faults: second ? [first, second] : [first] }
  }
}

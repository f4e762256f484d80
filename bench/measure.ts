import { middle } from './middle.ts'

export type Appendfsync = 'always' | 'everysec'

/** What one side of a comparison came to. */
export interface Figure {
  readonly value: number
  /** What the value is made of, in its unit. */
  readonly parts?: Readonly<Record<string, number>>
  /** Of a side that was measured in turns with others, the rate of each; `value` is the one in the middle. */
  readonly turns?: readonly number[]
  /** Processor time in microseconds per job, user and system, by process; empty where the system does not tell. */
  readonly processorMicros?: Readonly<Record<string, number>>
}

export type Target =
  | { readonly atLeast: number; readonly words?: string }
  | { readonly atMost: number; readonly words?: string }

/** One line of the table: our figure, the figure it is compared with, and their ratio, all from one run. */
export interface Row {
  readonly what: string
  readonly ours: Figure
  readonly peer: Figure
  readonly peerName: string
  readonly unit: string
  readonly ratio: number
  readonly target?: Target
  /** Whether the ratio meets the target; missing where there is none. */
  readonly met?: boolean
}

export interface Context {
  readonly appendfsync: Appendfsync
  readonly soakJobs: number
  /** `full`, or `quick` when only the working of a measure is of interest. */
  size(full: number, quick: number): number
  /** A progress line. */
  say(text: string): void
}

export interface Measure {
  /** As it is named on the command line. */
  readonly name: string
  readonly about: string
  /** The settings of Redis that can change its figures. */
  readonly appendfsync: readonly Appendfsync[]
  run(context: Context): Promise<Row[]>
}

/** For measures that write: how long Redis takes to say yes depends on it. */
export const BOTH: readonly Appendfsync[] = ['always', 'everysec']

export function compare({ ours, peer, target, ...names }: Omit<Row, 'ratio' | 'met'>): Row {
  const ratio = ratioOf(ours, peer)
  const met = target && ('atLeast' in target ? ratio >= target.atLeast : ratio <= target.atMost)
  return { ...names, ours, peer, ratio, ...(target && { target, met }) }
}

/** Of what was measured in turns, the ratio in the middle of those of the turns, each with its neighbour. */
function ratioOf(ours: Figure, peer: Figure): number {
  if (!ours.turns || !peer.turns) return ours.value / peer.value
  return middle(ours.turns.map((rate, turn) => rate / (peer.turns?.[turn] as number)))
}

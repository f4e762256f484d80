import type { Figure } from './measure.ts'
import type { Metered } from './meter.ts'
import { middle } from './middle.ts'

/** One side of a comparison, which is up and stands still: it works for a moment, and says how long that took. */
export type Turn = () => Promise<Metered>

export interface TurnsOptions {
  /** Of each side, before anything counts. */
  readonly warmUps: number
  /** Of each side. */
  readonly count: number
  /** A progress line. */
  say(text: string): void
}

/**
 * Measure sides that are all up in short turns, one after the other and then the other way round. A shared machine gets slower and quicker
 * by half within seconds; in turns it does so for all sides alike, and what is compared stood side by side.
 */
export async function inTurns<Name extends string>(
  sides: Readonly<Record<Name, Turn>>,
  { warmUps, count, say }: TurnsOptions,
): Promise<Record<Name, Figure>> {
  const names = Object.keys(sides) as Name[]
  const metered = Object.fromEntries(names.map((name) => [name, [] as Metered[]])) as Record<Name, Metered[]>
  say(`all are up; ${warmUps} turns of each to get warm, then ${count}: ${names.join(', ')}`)
  for (let turn = -warmUps; turn < count; turn++) {
    for (const name of turn % 2 === 0 ? names : [...names].reverse()) {
      const seen = await sides[name]()
      if (turn >= 0) metered[name].push(seen)
    }
    if (turn > 0 && turn % 10 === 0) say(`turn ${turn} of ${count}`)
  }
  return Object.fromEntries(names.map((name) => [name, figureOf(metered[name])])) as Record<Name, Figure>
}

/** Of the rates, jobs a second, the one in the middle; processor time per job over all turns. */
function figureOf(metered: readonly Metered[]): Figure {
  const turns = metered.map(({ jobs, spanMs }) => (jobs / spanMs) * 1000)
  const jobs = metered.reduce((sum, each) => sum + each.jobs, 0)
  const spent: Record<string, number> = {}
  for (const { processorMicros } of metered) {
    for (const [name, micros] of Object.entries(processorMicros)) spent[name] = (spent[name] ?? 0) + micros / jobs
  }
  return { value: middle(turns), turns, processorMicros: spent }
}

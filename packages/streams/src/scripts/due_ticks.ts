import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'
import type { StoredPlan } from './plan.ts'

export interface DueTicks {
  /** The store's clock, ms. */
  readonly nowMs: number
  /** Until the next one that is not due yet; undefined when there is none. */
  readonly nextInMs?: number
  /** Not all that is due is here. */
  readonly more: boolean
  readonly due: readonly { readonly address: string; readonly plan: StoredPlan }[]
}

/** One look finds at most this many; the rest is found by the next look, at once. */
const LIMIT = 500

const script = loadScript('due_ticks', 'no-writes', ['prelude_plan'])

/** The schedules that are due by the store's clock, whatever the clock of this machine says. */
export async function dueTicks(partition: Partition): Promise<DueTicks> {
  const reply = (await runScript(partition, script, [LIMIT])) as [number, number, number, ...string[]]
  const [nowMs, nextInMs, more, ...pairs] = reply
  const due = []
  for (let at = 0; at < pairs.length; at += 2)
    due.push({ address: pairs[at] as string, plan: JSON.parse(pairs[at + 1] as string) as StoredPlan })
  return { nowMs, more: more === 1, due, ...(nextInMs >= 0 && { nextInMs }) }
}

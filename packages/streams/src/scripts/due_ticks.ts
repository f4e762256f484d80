import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'
import type { StoredPlan } from './plan.ts'

export interface DueTick {
  readonly address: string
  readonly plan: StoredPlan
  /** The plan as it is stored, which is what `tick` compares. */
  readonly planText: string
}

export interface DueTicks {
  /** The store's clock, ms. */
  readonly nowMs: number
  /** Until the next one that is not among these; undefined when there is none. */
  readonly nextInMs?: number
  /** The first due first. */
  readonly due: readonly DueTick[]
}

/** One look finds at most this many, 2 to 4 ms of the store's time; the rest is found by the next look. */
const LIMIT = 2000

const script = loadScript('due_ticks', 'no-writes')

/** The schedules that are due by the store's clock within so many milliseconds, whatever the clock of this machine says. */
export async function dueTicks(partition: Partition, { aheadMs = 0 }: { aheadMs?: number } = {}): Promise<DueTicks> {
  const reply = (await runScript(partition, script, [LIMIT, aheadMs])) as [number, number, ...string[]]
  const [nowMs, nextInMs, ...pairs] = reply
  const due = []
  for (let at = 0; at < pairs.length; at += 2) {
    const [address, planText] = [pairs[at] as string, pairs[at + 1] as string]
    // One as earlier versions kept it is planned anew by the planner.
    if (planText.startsWith('{')) due.push({ address, planText, plan: JSON.parse(planText) as StoredPlan })
  }
  return { nowMs, due, ...(nextInMs >= 0 && { nextInMs }) }
}

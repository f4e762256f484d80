import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** When a schedule fires next, and what that was computed from. */
export interface Plan {
  /** Undefined: never again. */
  readonly nominalMs?: number
  /** The nominal time and its jitter. */
  readonly fireMs?: number
  /** The nominal time is the first after this. */
  readonly afterMs: number
  /** The time-zone database that it was computed with, `2026a`. */
  readonly tz: string
}

export interface StoredPlan extends Plan {
  /** The rule as text. */
  readonly rule: string
}

/** A plan as it is stored, and compared: as one text. */
export function planText({ rule, nominalMs, fireMs, afterMs, tz }: StoredPlan): string {
  return JSON.stringify({ rule, nominalMs, fireMs, afterMs, tz })
}

/** Nominal times of a rule that are due, and not fired. */
export interface TimesDue {
  readonly fromMs: number
  readonly toMs: number
  readonly count: number
}

export type Planned = 'planned' | 'unchanged' | 'moved' | 'removed'

/** The ledger of a schedule that is no longer declared is still of interest for a while. */
const LEDGER_AFTER_REMOVAL_MS = 30 * 86_400_000

const script = loadScript('plan', undefined, ['prelude_ledger'])

/**
 * Set a schedule's next nominal time, unless it is planned by the same rule. With `movedFromMs` it is planned by the same
 * rule, and the time-zone database that had computed that time is older than ours.
 */
export async function plan(
  partition: Partition,
  {
    address,
    rule,
    plan,
    movedFromMs,
    due,
  }: {
    address: string
    rule: string
    plan: Plan
    movedFromMs?: number | 'never'
    /** Of the rule before, where it is another one. */
    due?: TimesDue | undefined
  },
): Promise<Planned> {
  const args = [address, rule, planText({ ...plan, rule }), movedFromMs ?? '', LEDGER_AFTER_REMOVAL_MS, dueText(due)]
  return (await runScript(partition, script, args)) as Planned
}

/** Forget the plan of a schedule that is no longer declared. */
export async function removePlan(partition: Partition, address: string, due?: TimesDue | undefined): Promise<Planned> {
  return (await runScript(partition, script, [address, '', '{}', '', LEDGER_AFTER_REMOVAL_MS, dueText(due)])) as Planned
}

function dueText(due: TimesDue | undefined): string {
  return due === undefined ? '' : JSON.stringify(due)
}

/** All plans of a partition by address. */
export async function readPlans({ redis, keys }: Partition): Promise<Map<string, StoredPlan>> {
  const texts = Object.entries(await redis.hgetall(keys.schedules))
  const plans = texts.map(async ([address, text]): Promise<[string, StoredPlan]> => {
    if (text.startsWith('{')) return [address, JSON.parse(text) as StoredPlan]
    // As earlier versions kept it: the rule alone, its time as the score.
    const due = await redis.zscore(keys.ticks, address)
    if (due === null) return [address, { rule: '', afterMs: 0, tz: '' }]
    return [address, { rule: text, nominalMs: Number(due), fireMs: Number(due), afterMs: Number(due) - 1, tz: '' }]
  })
  return new Map(await Promise.all(plans))
}

/**
 * What to do about a schedule that is due: which of its nominal times fire, which are passed over and why, and which is
 * planned next. Catch-up goes on from the planned time, not from now, so that no time is left out however long nobody looked.
 */
import { type CatchUp, ON_TIME_MS, windowMs } from '@millrace/contracts'
import { jitterOf } from './jitter.ts'
import { type CronRule, nextNominalTime, type SkippedGap, skippedGaps } from './nominal-times.ts'

export const DEFAULT_CATCH_UP: CatchUp = { window: '10m', take: 'latest', max: 100 }

/** So many of the nominal times that are passed over have a row each; those before share one. */
const LISTED = 100
/** Counting goes on up to here; beyond, the count says "at least". */
const MAX_COUNTED = 2000

export interface DueRule extends CronRule {
  readonly address: string
  readonly catchUp?: CatchUp | undefined
  readonly jitterMs?: number | undefined
}

export interface DueInput {
  readonly plannedMs: number
  /** The planned time is the first one after this. */
  readonly afterMs: number
  /** By the store's clock. */
  readonly nowMs: number
}

/** A nominal time that fires now. */
export interface Firing {
  readonly nominalMs: number
  /** After its time, jitter included; 0 to `ON_TIME_MS` counts as on time. */
  readonly lateMs: number
}

/** Nominal times that were passed over: one, or a stretch of them. */
export interface PassedOver {
  readonly state: 'skipped' | 'missed'
  /** `window`: older than the catch-up window; `take`: inside it, and not taken. */
  readonly reason: 'window' | 'take'
  readonly fromMs: number
  readonly toMs: number
  readonly count: number
  /** There were more than were counted. */
  readonly atLeast?: boolean
}

export interface PlannedTime {
  readonly nominalMs: number
  /** When it fires: the nominal time and its jitter. */
  readonly fireMs: number
}

export interface TickDecision {
  /** The oldest first. */
  readonly fire: readonly Firing[]
  readonly passedOver: readonly PassedOver[]
  readonly gaps: readonly SkippedGap[]
  readonly next?: PlannedTime
}

export function decideTick(rule: DueRule, { plannedMs, afterMs, nowMs }: DueInput): TickDecision {
  const catchUp = rule.catchUp ?? DEFAULT_CATCH_UP
  // Two more than are taken: those that are on time are not counted among them.
  const atLeast = Math.max(LISTED, catchUp.take === 'all' ? catchUp.max + 2 : 1)
  const due = listDue(rule, { plannedMs, nowMs, atLeast })
  const taken = new Set(take(due.listed, catchUp))
  const latest = due.listed.at(-1)?.nominalMs ?? plannedMs
  const next = planAfter(rule, latest)
  return {
    fire: due.listed.filter((each) => taken.has(each)),
    passedOver: [
      ...due.earlier.flatMap((stretch) => splitAtWindow(rule, stretch, { catchUp, nowMs })),
      ...due.listed.filter((each) => !taken.has(each)).map((each) => passOver(each, catchUp)),
    ],
    gaps: skippedGaps(rule, { afterMs, untilMs: latest }),
    ...(next && { next }),
  }
}

/** The first nominal time after another, and when it fires. */
export function planAfter(rule: DueRule, afterMs: number): PlannedTime | undefined {
  const nominalMs = nextNominalTime(rule, afterMs)
  return nominalMs === undefined ? undefined : { nominalMs, fireMs: fireTime(rule, nominalMs) }
}

/** When a nominal time fires. */
export function fireTime(rule: DueRule, nominalMs: number): number {
  const jitterMs = rule.jitterMs ?? 0
  if (jitterMs === 0) return nominalMs
  return nominalMs + jitterOf(rule.address, { nominalMs, nextMs: nextNominalTime(rule, nominalMs), jitterMs })
}

/** What is on time fires whatever the policy; of what is late, what the policy takes. */
function take(due: readonly Firing[], { window, take: policy, max }: CatchUp): readonly Firing[] {
  const onTime = due.filter(({ lateMs }) => lateMs <= ON_TIME_MS)
  const late = due.filter(({ lateMs }) => lateMs > ON_TIME_MS && lateMs <= windowMs(window))
  switch (policy) {
    case 'none':
      return onTime
    case 'latest':
      return onTime.length > 0 ? onTime : late.slice(-1)
    case 'all':
      return [...late.slice(-max), ...onTime]
    default:
      return policy satisfies never
  }
}

function passOver({ nominalMs, lateMs }: Firing, { window }: CatchUp): PassedOver {
  const reason = lateMs > windowMs(window) ? 'window' : 'take'
  return { state: stateOf(reason), reason, fromMs: nominalMs, toMs: nominalMs, count: 1 }
}

function stateOf(reason: PassedOver['reason']): PassedOver['state'] {
  return reason === 'window' ? 'skipped' : 'missed'
}

interface Stretch {
  readonly fromMs: number
  readonly toMs: number
}

/** A stretch that begins before the window and ends inside is two. */
function splitAtWindow(
  rule: CronRule,
  { fromMs, toMs }: Stretch,
  { catchUp, nowMs }: { catchUp: CatchUp; nowMs: number },
): PassedOver[] {
  const edgeMs = nowMs - windowMs(catchUp.window)
  const inside = fromMs >= edgeMs ? fromMs : nextNominalTime(rule, edgeMs - 1)
  if (inside === undefined || inside > toMs) return [stretchOf(rule, 'window', { fromMs, toMs })]
  const parts = [stretchOf(rule, 'take', { fromMs: inside, toMs })]
  if (inside > fromMs) parts.unshift(stretchOf(rule, 'window', { fromMs, toMs: timeBefore(rule, fromMs, inside) }))
  return parts
}

function stretchOf(rule: CronRule, reason: PassedOver['reason'], { fromMs, toMs }: Stretch): PassedOver {
  const count = countOf(rule, { fromMs, toMs })
  const atLeast = count === MAX_COUNTED
  return { state: stateOf(reason), reason, fromMs, toMs, count, ...(atLeast && { atLeast }) }
}

function countOf(rule: CronRule, { fromMs, toMs }: Stretch): number {
  let count = 1
  for (let at = fromMs; at < toMs && count < MAX_COUNTED; count++) at = nextNominalTime(rule, at) as number
  return count
}

/** The nominal times from a planned one up to now: what of a rule that ends nobody will fire any more. */
export function timesLeft(
  rule: CronRule,
  { plannedMs, nowMs }: { plannedMs: number; nowMs: number },
): { fromMs: number; toMs: number; count: number } {
  const toMs = timesUntil(rule, { fromMs: plannedMs, untilMs: nowMs, atLeast: 1 }).at(-1) ?? plannedMs
  return { fromMs: plannedMs, toMs, count: countOf(rule, { fromMs: plannedMs, toMs }) }
}

/** The last nominal time before one of them, not before `fromMs`. */
function timeBefore(rule: CronRule, fromMs: number, ofMs: number): number {
  return timesUntil(rule, { fromMs, untilMs: ofMs - 1, atLeast: 1 }).at(-1) as number
}

/** The newest due times one by one, at least so many where there are; what was before them as a stretch. */
function listDue(
  rule: DueRule,
  { plannedMs, nowMs, atLeast }: { plannedMs: number; nowMs: number; atLeast: number },
): { listed: Firing[]; earlier: Stretch[] } {
  const times = timesUntil(rule, { fromMs: plannedMs, untilMs: nowMs, atLeast })
  const fires = times.map((nominalMs) => ({ nominalMs, lateMs: nowMs - fireTime(rule, nominalMs) }))
  // With jitter the newest may not be due yet, whatever its nominal time.
  const listed = fires.filter(({ lateMs }) => lateMs >= 0).slice(-atLeast - 1)
  const first = listed[0]?.nominalMs
  // The planned time is due because the plan says so, also where the jitter was edited since.
  if (first === undefined) return { listed: [{ nominalMs: plannedMs, lateMs: 0 }], earlier: [] }
  if (first === plannedMs) return { listed, earlier: [] }
  return { listed, earlier: [{ fromMs: plannedMs, toMs: timeBefore(rule, plannedMs, first) }] }
}

/**
 * The nominal times up to a time, the newest `atLeast` of them and maybe more. Only the next one can be asked for, so it
 * looks back over a stretch that doubles until it holds enough.
 */
function timesUntil(
  rule: CronRule,
  { fromMs, untilMs, atLeast }: { fromMs: number; untilMs: number; atLeast: number },
): number[] {
  for (let backMs = 60_000; ; backMs *= 2) {
    const startMs = Math.max(fromMs, untilMs - backMs)
    const times: number[] = []
    let at = startMs === fromMs ? fromMs : nextNominalTime(rule, startMs - 1)
    while (at !== undefined && at <= untilMs) {
      times.push(at)
      at = nextNominalTime(rule, at)
    }
    if (times.length > atLeast || startMs === fromMs) return times
  }
}

import type { PassedOver, SkippedGap, TickDecision } from '@millrace/engine'
import { wallText } from '@millrace/engine'
import type { DueTick, NamedRow, Tick, TickFire } from '@millrace/streams'
import type { SendSpan } from '@millrace/traces'
import type { Schedule } from './schedules.ts'
import { rowName, tickData, tickIdOf, tickMeta } from './tick-data.ts'

export interface TickContext {
  /** As it was seen, and is compared. */
  readonly due: DueTick
  /** What the decision was made for, by the store's clock. */
  readonly nowMs: number
  readonly tz: string
  /** Tokens that a delivered tick costs. */
  readonly gas: number
  /** Of each firing, where ticks are traced. */
  readonly spans?: readonly SendSpan[] | undefined
}

/** A decision about a due schedule as the one script call that carries it out. */
export function toTick(schedule: Schedule, decision: TickDecision, context: TickContext): Tick {
  const { address, declared } = schedule
  const { due, tz } = context
  const { passedOver, gaps, fire, next } = decision
  const { rule, nominalMs: plannedMs = 0, fireMs = 0 } = due.plan
  const latest = Math.max(plannedMs, ...fire.map((each) => each.nominalMs), ...passedOver.map((each) => each.toMs))
  return {
    address,
    planned: { text: due.planText, fireMs, next: { rule, ...next, afterMs: latest, tz } },
    rows: [...gaps.map((gap) => gapRow(gap, tz)), ...passedOver.map((stretch) => passedRow(stretch, tz))],
    events: [...gaps.map(gapEvent), ...passedEvents(passedOver)],
    fires: fire.map((firing, index) => toFire(schedule, firing, { ...context, span: context.spans?.[index] })),
    overlap: declared.overlap ?? 'allow',
    ...(declared.paused && { paused: true }),
  }
}

function toFire(
  schedule: Schedule,
  { nominalMs, lateMs }: TickDecision['fire'][number],
  { nowMs, tz, gas, span }: TickContext & { span: SendSpan | undefined },
): TickFire {
  const name = rowName(nominalMs)
  const id = tickIdOf(schedule, name)
  return {
    name,
    row: { atMs: nominalMs, kind: 'planned', tickId: id, tz },
    fireMs: nowMs - lateMs,
    type: 'schedule.fired',
    event: { tickId: id, scheduledAt: name, tz },
    data: tickData(schedule, { nominalMs, id }),
    meta: tickMeta(schedule, { id, name, gas, carrier: span?.carrier }),
  }
}

function passedRow({ state, reason, fromMs, toMs, count }: PassedOver, tz: string): NamedRow {
  const single = count === 1
  return {
    name: single ? rowName(fromMs) : `${rowName(fromMs)}~${reason}`,
    row: { atMs: fromMs, kind: 'planned', state, reason, tz, ...(!single && { toMs, count }) },
  }
}

/** One event per reason, however many rows. */
function passedEvents(passedOver: readonly PassedOver[]) {
  return (['window', 'take'] as const).flatMap((reason) => {
    const stretches = passedOver.filter((each) => each.reason === reason)
    const [first, last] = [stretches[0], stretches.at(-1)]
    if (!first || !last) return []
    const count = stretches.reduce((sum, each) => sum + each.count, 0)
    const atLeast = stretches.some((each) => each.atLeast)
    const data = { count, reason, from: rowName(first.fromMs), to: rowName(last.toMs), ...(atLeast && { atLeast }) }
    return [{ type: first.state === 'missed' ? 'schedule.missed' : 'schedule.skipped', data }]
  })
}

function gapRow({ atMs, count, fromWallMs, toWallMs }: SkippedGap, tz: string): NamedRow {
  const local = { fromLocal: wallText(fromWallMs), toLocal: wallText(toWallMs) }
  return {
    name: `${rowName(atMs)}~gap`,
    row: { atMs, kind: 'planned', state: 'skipped', reason: 'gap', count, tz, ...local },
  }
}

function gapEvent({ atMs, count, fromWallMs, toWallMs }: SkippedGap) {
  const at = rowName(atMs)
  const local = { fromLocal: wallText(fromWallMs), toLocal: wallText(toWallMs) }
  return { type: 'schedule.skipped', data: { count, reason: 'gap', from: at, to: at, ...local } }
}

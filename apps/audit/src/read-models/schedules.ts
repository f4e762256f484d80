import {
  GAS_EVENTS,
  JOB_EVENTS,
  ON_TIME_MS,
  parsePosition,
  parseQueueAddress,
  SCHEDULE_EVENTS,
} from '@millrace/contracts'
import type { Entry } from '../recorder/batch.ts'
import type { ScheduleRow, TickRow } from '../store/schema.ts'
import { amountIn, numberIn, plus, textIn, timeIn } from './members.ts'
import type { ModelRows } from './rows.ts'

/** Fold what happened to schedules into schedules, their ticks, and the gas that those cost. */
export async function foldSchedules(entries: readonly Entry[], rows: ModelRows): Promise<void> {
  const facts = entries.flatMap(placeOf)
  if (facts.length === 0) return
  await rows.schedules.load(facts.map(({ namespace, name }) => [namespace, name]))
  await rows.ticks.load(
    facts.flatMap(({ namespace, name, tick }) => (tick === undefined ? [] : [[namespace, name, tick]])),
  )
  await rows.gas.load(facts.map(({ namespace, name, nowMs }) => [namespace, dayOf(nowMs), name]))
  for (const fact of facts) foldFact(fact, rows)
}

/** An event with the schedule and, where it is about one, the tick. */
export interface Fact {
  readonly type: string
  readonly body: Entry['fact']['body']
  readonly namespace: string
  readonly name: string
  readonly nowMs: number
  readonly tick: string | undefined
  readonly jobId: string
}

export function placeOf({ event, fact }: Entry): Fact[] {
  const isTickJob = event.kind === 'job' && event.type === JOB_EVENTS.enqueued
  if (event.kind !== 'schedule' && !isTickJob) return []
  const { kind, name } = parseQueueAddress(fact.where.queue ?? '')
  if (kind !== 'schedule') return []
  const { body, namespace, entityId: jobId } = fact
  const place = { type: event.type, body, namespace, name, nowMs: parsePosition(event.position).ms, jobId }
  return [{ ...place, tick: isTickJob ? tickOfJob(body) : tickOf(event.type, body) }]
}

function tickOf(type: string, body: Fact['body']): string | undefined {
  if (type !== SCHEDULE_EVENTS.skipped && type !== SCHEDULE_EVENTS.missed) return textIn(body, 'tickId')
  return `${textIn(body, 'from') ?? String(numberIn(body, 'fromMs') ?? '')}~${textIn(body, 'reason') ?? ''}`
}

function tickOfJob(body: Fact['body']): string | undefined {
  const meta = Object(body?.meta) as { tick?: unknown }
  return textIn(Object(meta.tick) as Record<string, unknown>, 'id')
}

function foldFact(fact: Fact, rows: ModelRows): void {
  const { type, body, namespace, name, nowMs } = fact
  const known = rows.schedules.get(namespace, name) ?? newSchedule(fact)
  const change = (changes: Partial<ScheduleRow>) =>
    rows.schedules.put({ ...known, ...changes, updated_at_ms: nowMs }, namespace, name)
  switch (type) {
    case SCHEDULE_EVENTS.planned: {
      const rule = body?.rule === undefined ? null : JSON.stringify(body.rule)
      change({
        rule,
        tz: textIn(body, 'tz') ?? null,
        next_at_ms: numberIn(body, 'nextAtMs') ?? null,
        removed_at_ms: null,
      })
      break
    }
    case SCHEDULE_EVENTS.moved:
      change({ next_at_ms: numberIn(body, 'toMs') ?? null })
      break
    case SCHEDULE_EVENTS.paused:
      change({ paused_at_ms: nowMs, paused_by: textIn(body, 'who') ?? null })
      break
    case SCHEDULE_EVENTS.resumed:
      change({ paused_at_ms: null, paused_by: null })
      break
    case SCHEDULE_EVENTS.removed:
      change({ removed_at_ms: nowMs, next_at_ms: null })
      break
    case SCHEDULE_EVENTS.fired:
    case SCHEDULE_EVENTS.triggered:
    case SCHEDULE_EVENTS.backfilled:
      change({ fired: known.fired + 1, last_fired_at_ms: nowMs })
      putTick(fact, rows, fired(fact))
      break
    case SCHEDULE_EVENTS.skipped:
      change({ skipped: plus(known.skipped, amountIn(body, 'count') ?? 1) })
      putTick(fact, rows, passedOver(fact, 'skipped'))
      break
    case SCHEDULE_EVENTS.missed:
      change({ missed: plus(known.missed, amountIn(body, 'count') ?? 1) })
      putTick(fact, rows, passedOver(fact, 'missed'))
      break
    case JOB_EVENTS.enqueued:
      putTick(fact, rows, { job_id: fact.jobId })
      break
    case GAS_EVENTS.charged:
      charge(fact, rows)
      break
    default:
    // Backfills as a whole are not shown here; each of their ticks is.
  }
}

const KINDS: Readonly<Record<string, string>> = {
  [SCHEDULE_EVENTS.triggered]: 'manual',
  [SCHEDULE_EVENTS.backfilled]: 'backfill',
}

function fired({ type, body, nowMs }: Fact): Partial<TickRow> {
  const late_ms = amountIn(body, 'lateMs') ?? 0
  return {
    kind: KINDS[type] ?? 'planned',
    state: late_ms > ON_TIME_MS ? 'late' : 'fired',
    at_ms: timeIn(body, 'scheduledAt') ?? nowMs,
    fired_at_ms: nowMs,
    late_ms,
  }
}

function passedOver({ body, nowMs }: Fact, state: 'skipped' | 'missed'): Partial<TickRow> {
  const at_ms = timeIn(body, 'from') ?? numberIn(body, 'fromMs') ?? nowMs
  const until_ms = timeIn(body, 'to') ?? numberIn(body, 'toMs') ?? at_ms
  const reason = textIn(body, 'reason') ?? null
  return { state, reason, at_ms, until_ms: until_ms === at_ms ? null : until_ms, count: amountIn(body, 'count') ?? 1 }
}

function putTick(fact: Fact, { ticks }: ModelRows, changes: Partial<TickRow>): void {
  const { namespace, name, tick } = fact
  if (tick === undefined) return
  ticks.put({ ...(ticks.get(namespace, name, tick) ?? newTick(fact, tick)), ...changes }, namespace, name, tick)
}

/** A tick is charged for once, whatever the log says twice. */
function charge(fact: Fact, rows: ModelRows): void {
  const { namespace, name, body, nowMs, tick } = fact
  const tokens = amountIn(body, 'tokens') ?? 0
  if (tick === undefined || (rows.ticks.get(namespace, name, tick)?.gas ?? null) !== null) return
  putTick(fact, rows, { gas: tokens, job_id: textIn(body, 'jobId') ?? null })
  const day = dayOf(nowMs)
  const known = rows.gas.get(namespace, day, name) ?? { namespace, day, schedule: name, tokens: 0, ticks: 0 }
  rows.gas.put({ ...known, tokens: plus(known.tokens, tokens), ticks: known.ticks + 1 }, namespace, day, name)
}

function newSchedule({ namespace, name, nowMs }: Fact): ScheduleRow {
  return {
    ...{ namespace, name, rule: null, tz: null, next_at_ms: null, paused_at_ms: null, paused_by: null },
    ...{ last_fired_at_ms: null, fired: 0, skipped: 0, missed: 0, removed_at_ms: null, updated_at_ms: nowMs },
  }
}

/** The first event seen of a tick makes it, whichever it is, for the log may have been trimmed before we came. */
function newTick({ namespace, name, nowMs }: Fact, id: string): TickRow {
  return {
    ...{ namespace, schedule: name, id, kind: 'planned', state: 'fired', reason: null, at_ms: nowMs, until_ms: null },
    ...{ count: 1, late_ms: null, fired_at_ms: null, job_id: null, gas: null },
  }
}

export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

import { ON_TIME_MS } from '@millrace/contracts'
import type { LedgerRow, NamedRow } from '../ledger.ts'
import type { Partition } from '../partition.ts'
import { packPayload } from '../payload.ts'
import { IDEMPOTENCY_WINDOW_MS, type JobMeta } from './enqueue.ts'
import { loadScript, runScript } from './load.ts'
import { planText, type StoredPlan } from './plan.ts'

/** A nominal time that fires: its row, its event and its job. How late it is, and so its state, the script finds out. */
export interface TickFire {
  /** Its row's name, unique in its ledger. */
  readonly name: string
  readonly row: Omit<LedgerRow, 'state' | 'lateMs' | 'jobId' | 'firedAtMs'>
  /** When it was to fire; undefined: now. */
  readonly fireMs?: number
  readonly type: 'schedule.fired' | 'schedule.triggered' | 'schedule.backfilled'
  readonly event: Record<string, unknown>
  /** The job's payload as JSON text. */
  readonly data: string
  readonly meta: JobMeta
}

/** A step of a backfill: its state is compared and set together with what the step fires. */
export interface BackfillAdvance {
  readonly id: string
  /** As it was read; undefined begins one. */
  readonly from?: string
  readonly to: string
  readonly running: boolean
  /** Of one that begins and leaves out what has fired: its first and last time. */
  readonly range?: { readonly fromMs: number; readonly toMs: number }
  readonly event?: { readonly type: string; readonly data: Record<string, unknown> }
}

export interface Tick {
  readonly address: string
  /** The plan as it was seen, which is compared, and the next; undefined for a run by hand and for a backfill, which move none. */
  readonly planned?: { readonly text: string; readonly fireMs: number; readonly next: StoredPlan }
  /** Nominal times that do not fire. */
  readonly rows?: readonly NamedRow[]
  readonly events?: readonly { readonly type: string; readonly data: Record<string, unknown> }[]
  /** In the order of their nominal times. */
  readonly fires?: readonly TickFire[]
  readonly overlap?: 'allow' | 'skip' | 'queue' | 'cancel'
  /** Paused by the manifest; pauses by hand the script knows. */
  readonly paused?: boolean
  /** The idempotency key of a run by hand. */
  readonly onceKey?: string
  readonly advance?: BackfillAdvance
}

export type Fired =
  | { readonly kind: 'fired'; readonly id: string; readonly lateMs: number }
  | { readonly kind: 'known'; readonly id: string }
  /** The same idempotency key fired this before. */
  | { readonly kind: 'replayed'; readonly id: string; readonly name: string }
  | { readonly kind: 'skipped'; readonly reason: 'paused' | 'overlap' }

export type Ticked =
  | { readonly kind: 'done'; readonly fires: readonly Fired[] }
  /** Another scheduler was first, the plan changed, or the backfill went on. */
  | { readonly kind: 'stale' }
  /** Not due by the store's clock. */
  | { readonly kind: 'early'; readonly inMs: number }
  /** No longer declared. */
  | { readonly kind: 'closed' }
  /** A backfill that would begin where the ledger no longer knows what has fired: up to this time. */
  | { readonly kind: 'forgotten'; readonly untilMs: number }
  /** A backfill that would begin where this other one is at work. */
  | { readonly kind: 'running'; readonly id: string }

/** Runs that may wait for the one before; a schedule that is that far behind does not get better by more of them. */
export const MAX_WAITING_RUNS = 100
/** So long a backfill that has ended answers to its id. */
const BACKFILL_KEPT_MS = 30 * 86_400_000

const script = loadScript('tick', undefined, ['prelude_ledger', 'prelude_cancel'])

/** A call as it is sent. */
export type PreparedTick = readonly (string | number)[]

/**
 * Fire nominal times exactly once each, over any number of schedulers, keeping so many rows of each ledger; the results stand in the
 * order of the ticks.
 */
export function tick(partition: Partition, ticks: readonly Tick[], { keep }: { keep: number }): Promise<Ticked[]> {
  return sendTicks(partition, ticks.map(prepareTick), { keep })
}

/** The same with calls that were prepared before their time, so that at their time nothing is left to do but to send them. */
export async function sendTicks(
  partition: Partition,
  ticks: readonly PreparedTick[],
  { keep }: { keep: number },
): Promise<Ticked[]> {
  const reply = (await runScript(partition, script, [keep, ON_TIME_MS, ...ticks.flat()])) as Reply[]
  return reply.map(toTicked)
}

type FireReply = [Fired['kind'], string, string | number]
type Reply = ['done', ...FireReply[]] | ['early' | 'forgotten', number] | ['running', string] | ['stale' | 'closed']

function toTicked(reply: Reply): Ticked {
  switch (reply[0]) {
    case 'done':
      return { kind: 'done', fires: (reply.slice(1) as FireReply[]).map(toFired) }
    case 'early':
      return { kind: 'early', inMs: reply[1] as number }
    case 'forgotten':
      return { kind: 'forgotten', untilMs: reply[1] as number }
    case 'running':
      return { kind: 'running', id: reply[1] as string }
    default:
      return { kind: reply[0] }
  }
}

function toFired([kind, value, more]: FireReply): Fired {
  switch (kind) {
    case 'fired':
      return { kind, id: value, lateMs: more as number }
    case 'known':
      return { kind, id: value }
    case 'replayed':
      return { kind, id: value, name: more as string }
    case 'skipped':
      return { kind, reason: value as 'paused' | 'overlap' }
    default:
      return kind satisfies never
  }
}

export function prepareTick(tick: Tick): PreparedTick {
  const { address, planned, fires = [] } = tick
  const plan = planned
    ? [planned.text, planned.fireMs, planText(planned.next), planned.next.fireMs ?? '']
    : ['', '', '', '']
  return [address, ...plan, rareText(tick), fires.length, ...fires.flatMap(toArguments)]
}

function toArguments({ name, row, fireMs, type, event, data, meta }: TickFire): (string | number)[] {
  return [
    ...[name, row.atMs, fireMs ?? '', JSON.stringify(row).slice(0, -1), type, JSON.stringify(event).slice(0, -1)],
    ...[packPayload(data), JSON.stringify(meta)],
  ]
}

/** What most calls do not have, as JSON; '' when this one has nothing of it. */
function rareText({ rows = [], events = [], overlap = 'allow', paused, onceKey, advance }: Tick): string {
  const rare = {
    ...(rows.length > 0 && { rows: rows.map(({ name, row }) => ({ name, atMs: row.atMs, row: JSON.stringify(row) })) }),
    ...(events.length > 0 && { events: events.map(({ type, data }) => ({ type, data: JSON.stringify(data) })) }),
    ...(overlap !== 'allow' && { overlap, maxWaiting: MAX_WAITING_RUNS }),
    ...(paused && { paused }),
    ...(onceKey !== undefined && { once: { key: onceKey, windowMs: IDEMPOTENCY_WINDOW_MS } }),
    ...(advance && { advance: toAdvance(advance) }),
  }
  return Object.keys(rare).length === 0 ? '' : JSON.stringify(rare)
}

function toAdvance({ id, from = '', to, running, range, event }: BackfillAdvance) {
  const said = event && { type: event.type, event: JSON.stringify(event.data) }
  const isoOf = (ms: number) => new Date(ms).toISOString()
  const begins = range && { range: { fromMs: range.fromMs, from: isoOf(range.fromMs), to: isoOf(range.toMs) } }
  return { id, from, to, running, keepMs: BACKFILL_KEPT_MS, ...begins, ...said }
}

import type { NamedRow } from '../ledger.ts'
import type { Partition } from '../partition.ts'
import { packPayload } from '../payload.ts'
import { IDEMPOTENCY_WINDOW_MS, type JobMeta } from './enqueue.ts'
import { loadScript, runScript } from './load.ts'
import type { Plan } from './plan.ts'

/** A nominal time that fires: its row, its event and its job. */
export interface TickFire extends NamedRow {
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
  readonly event?: { readonly type: string; readonly data: Record<string, unknown> }
}

export interface Tick {
  readonly address: string
  /** The plan that is compared and replaced; undefined for a run by hand and for a backfill, which move no plan. */
  readonly planned?: { readonly rule: string; readonly nominalMs: number }
  readonly next?: Plan
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
  | { readonly kind: 'fired' | 'known'; readonly id: string }
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

/** Runs that may wait for the one before; a schedule that is that far behind does not get better by more of them. */
export const MAX_WAITING_RUNS = 100
/** So long a backfill that has ended answers to its id. */
const BACKFILL_KEPT_MS = 30 * 86_400_000

const script = loadScript('tick', undefined, ['prelude_plan', 'prelude_cancel'])

/** Fire nominal times exactly once each, over any number of schedulers; the results stand in the order of the ticks. */
export async function tick(
  partition: Partition,
  ticks: readonly Tick[],
  { keep }: { keep: number },
): Promise<Ticked[]> {
  const reply = (await runScript(partition, script, [keep, ...ticks.map(toArgument)])) as Reply[]
  return reply.map(toTicked)
}

type FireReply = [Fired['kind'], string, string]
type Reply = ['done', ...FireReply[]] | ['early', number] | ['stale' | 'closed']

function toTicked(reply: Reply): Ticked {
  switch (reply[0]) {
    case 'done':
      return { kind: 'done', fires: (reply.slice(1) as FireReply[]).map(toFired) }
    case 'early':
      return { kind: 'early', inMs: reply[1] as number }
    default:
      return { kind: reply[0] }
  }
}

function toFired([kind, value, name]: FireReply): Fired {
  if (kind === 'replayed') return { kind, id: value, name }
  return kind === 'skipped' ? { kind, reason: value as 'paused' | 'overlap' } : { kind, id: value }
}

function toArgument({ onceKey, advance, fires, events, ...call }: Tick): string {
  return JSON.stringify({
    ...call,
    maxWaiting: MAX_WAITING_RUNS,
    fires: fires?.map((fire) => ({
      ...fire,
      data: packPayload(fire.data),
      scheduledAt: new Date(fire.row.atMs).toISOString(),
      event: JSON.stringify(fire.event),
      meta: JSON.stringify(fire.meta),
    })),
    events: events?.map(({ type, data }) => ({ type, data: JSON.stringify(data) })),
    ...(onceKey !== undefined && { once: { key: onceKey, windowMs: IDEMPOTENCY_WINDOW_MS } }),
    ...(advance && { advance: toAdvance(advance) }),
  })
}

function toAdvance({ id, from = '', to, running, event }: BackfillAdvance) {
  const said = event && { type: event.type, event: JSON.stringify(event.data) }
  return { id, from, to, running, keepMs: BACKFILL_KEPT_MS, ...said }
}

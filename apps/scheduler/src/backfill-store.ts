import { BACKFILL_EVENTS, type Backfill, type BackfillRequest, ProblemError } from '@millrace/contracts'
import { type BackfillState, stopBackfill } from '@millrace/engine'
import {
  type By,
  type Partition,
  readBackfill,
  readBackfills,
  storeTime,
  type Ticked,
  type TickFire,
  tick,
} from '@millrace/streams'
import type { Schedule } from './schedules.ts'

/** A backfill as it was read, and where. */
export interface KnownBackfill {
  readonly partition: Partition
  readonly address: string
  readonly text: string
  readonly state: BackfillState
}

/** Begin a backfill, or find the one that was begun with this id. */
export async function beginBackfill(
  schedule: Schedule,
  { request, id, by, keep }: { request: BackfillRequest; id: string; by: By; keep: number },
): Promise<{ begun: boolean; state: BackfillState }> {
  const { partition, address } = schedule
  const nowMs = await storeTime(partition)
  if (Date.parse(request.to) > nowMs) {
    const detail = 'lies in the future; a backfill is for times that have passed'
    throw new ProblemError('request.invalid', `to ${detail}.`, { errors: [{ pointer: '/to', detail }] })
  }
  const state = newBackfill(schedule, { request, id, by, nowMs })
  const { namespace: _namespace, schedule: _schedule, ...data } = toBackfill(state)
  const event = { type: BACKFILL_EVENTS.started, data: { backfillId: id, ...data } }
  // A second run of a nominal time is another tick; without `again` it has to be known what has fired.
  const range = request.again ? undefined : { fromMs: Date.parse(request.from), toMs: Date.parse(request.to) }
  const advance = { id, to: JSON.stringify(state), running: true, event, ...(range && { range }) }
  const [result] = await tick(partition, [{ address, advance }], { keep })
  if (result?.kind === 'done') return { begun: true, state }
  if (result?.kind === 'forgotten') throw forgotten(result.untilMs, keep)
  if (result?.kind === 'running')
    throw new ProblemError(
      'backfill.running',
      `The backfill "${result.id}" is at work on times of this range. Wait for its end, or stop it.`,
    )
  const known = await readBackfill(partition, id)
  if (known === undefined) throw new ProblemError('schedule.unknown', `Schedule "${address}" is no longer declared.`)
  return { begun: false, state: sameAs(JSON.parse(known) as BackfillState, state) }
}

function forgotten(untilMs: number, keep: number): ProblemError {
  const until = new Date(untilMs).toISOString()
  const detail = `must be after ${until}: the ledger keeps ${keep} rows (MILLRACE_LEDGER_KEEP), and no longer knows which of the times up to there have fired. Begin later, or fire them all under new tick ids with again: true`
  return new ProblemError('request.invalid', `from ${detail}.`, { errors: [{ pointer: '/from', detail }] })
}

function newBackfill(
  { namespace, name }: Schedule,
  { request, id, by, nowMs }: { request: BackfillRequest; id: string; by: By; nowMs: number },
): BackfillState {
  const { ratePerSecond, again } = request
  const [fromMs, toMs] = [Date.parse(request.from), Date.parse(request.to)]
  return {
    ...{ id, state: 'running', namespace, schedule: name },
    ...{ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), ratePerSecond, again },
    ...{ fired: 0, passed: 0, startedAt: new Date(nowMs).toISOString(), afterMs: fromMs - 1, nextAtMs: 0 },
    ...by,
  }
}

/** An id stands for one backfill: brought with another one, it is a mistake worth hearing of. */
function sameAs(known: BackfillState, asked: BackfillState): BackfillState {
  const plan = ({ namespace, schedule, from, to, ratePerSecond, again }: BackfillState) =>
    JSON.stringify([namespace, schedule, from, to, ratePerSecond, again])
  if (plan(known) === plan(asked)) return known
  throw new ProblemError(
    'backfill.conflict',
    `The backfill "${known.id}" is of another schedule, range or rate. Choose another backfillId, or leave it out.`,
  )
}

export async function findBackfill(
  { partition, address, namespace, name }: Schedule,
  id: string,
): Promise<KnownBackfill | undefined> {
  const text = await readBackfill(partition, id)
  if (text === undefined) return undefined
  const state = JSON.parse(text) as BackfillState
  return state.namespace === namespace && state.schedule === name ? { partition, address, text, state } : undefined
}

/** Those of a schedule, in no order. */
export async function listBackfills({ partition, namespace, name }: Schedule): Promise<BackfillState[]> {
  const states = (await readBackfills(partition)).map((text) => JSON.parse(text) as BackfillState)
  return states.filter((state) => state.namespace === namespace && state.schedule === name)
}

/** Stop a backfill, whatever step it is at; one that is over stays as it is. */
export async function stopKnown(
  schedule: Schedule,
  { id, by, keep }: { id: string; by: By; keep: number },
): Promise<BackfillState> {
  for (;;) {
    const known = await findBackfill(schedule, id)
    if (!known) throw new ProblemError('backfill.unknown', `Schedule "${schedule.address}" has no backfill "${id}".`)
    if (known.state.state !== 'running') return known.state
    const next = stopBackfill(known.state, { ...by, nowMs: await storeTime(known.partition) })
    const result = await saveBackfill(known, { next, keep })
    // Another state: it went on a step meanwhile, so read again. Each time somebody else has got on.
    if (result.kind !== 'stale') return next
  }
}

/** Take a backfill to its next state, with what this step fires; the event of its end goes with it. */
export async function saveBackfill(
  { partition, address, text, state }: KnownBackfill,
  { next, fires = [], keep }: { next: BackfillState; fires?: readonly TickFire[]; keep: number },
): Promise<Ticked> {
  const event = endOf(next)
  const advance = { id: state.id, from: text, to: JSON.stringify(next), running: next.state === 'running' }
  const [result] = await tick(partition, [{ address, fires, advance: { ...advance, ...(event && { event }) } }], {
    keep,
  })
  return result as Ticked
}

function endOf({ id, state, who, why, stopped, fired, passed }: BackfillState) {
  if (state === 'running') return undefined
  const data = { backfillId: id, fired, passed }
  if (state === 'finished') return { type: BACKFILL_EVENTS.finished, data: { who, why, ...data } }
  return { type: BACKFILL_EVENTS.stopped, data: { ...stopped, ...data } }
}

/** As the API tells of it. */
export function toBackfill({ afterMs: _afterMs, nextAtMs: _nextAtMs, ...backfill }: BackfillState): Backfill {
  return backfill
}

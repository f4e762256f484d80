/**
 * A backfill: the nominal times of a range, one after another, at a rate. States: running → finished, or → stopped (by a
 * person, or because the schedule is no longer declared). Both are final: asked again with its id it fires nothing more.
 */
import type { Backfill } from '@millrace/contracts'
import { allowedNow, nextAllowed } from '../pace.ts'
import { type CronRule, nextNominalTime } from './nominal-times.ts'

export interface BackfillState extends Backfill {
  /** All nominal times up to here are done. */
  readonly afterMs: number
  /** Not before this time by the store's clock. */
  readonly nextAtMs: number
}

export type BackfillMove =
  | { readonly kind: 'fire'; readonly times: readonly number[] }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'end'; readonly next: BackfillState }

/** One step fires at most this many, so that no script holds the server up for long. */
const MAX_STEP = 50

/** What a running backfill does next. `nowMs` is the store's clock. */
export function nextBackfillMove(
  state: BackfillState,
  { rule, nowMs }: { rule: CronRule; nowMs: number },
): BackfillMove {
  const toMs = Date.parse(state.to)
  const first = nextNominalTime(rule, state.afterMs)
  if (first === undefined || first > toMs)
    return { kind: 'end', next: { ...state, state: 'finished', endedAt: new Date(nowMs).toISOString() } }
  const allowed = allowedNow(state, nowMs)
  if (allowed.kind === 'wait') return allowed
  const times = [first]
  while (times.length < Math.min(MAX_STEP, allowed.atMost)) {
    const next = nextNominalTime(rule, times.at(-1) as number)
    if (next === undefined || next > toMs) break
    times.push(next)
  }
  return { kind: 'fire', times }
}

/** The state after a step; what had fired before counts for nothing in the rate. */
export function afterBackfilling(
  state: BackfillState,
  { times, fired, nowMs }: { times: readonly number[]; fired: number; nowMs: number },
): BackfillState {
  return {
    ...state,
    fired: state.fired + fired,
    passed: state.passed + times.length - fired,
    afterMs: times.at(-1) ?? state.afterMs,
    ...(fired > 0 && { nextAtMs: nextAllowed(state, { taken: fired, nowMs }) }),
  }
}

export function stopBackfill(
  state: BackfillState,
  { who, why, nowMs }: { who: string; why?: string | undefined; nowMs: number },
): BackfillState {
  const stopped = { who, ...(why !== undefined && { why }) }
  return { ...state, state: 'stopped', endedAt: new Date(nowMs).toISOString(), stopped }
}

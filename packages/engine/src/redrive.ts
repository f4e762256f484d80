/**
 * A redrive that goes on by itself: what it does next, and what it is after that.
 *
 * It goes through the letters of one queue once, oldest first, up to the one that was the newest when it began: a job that
 * dies again during the redrive is behind that mark, so no redrive takes a job twice. With a canary it takes one letter, then
 * ten, then the rest, and before each step waits until all jobs of the step before are at their end.
 *
 * States: running → finished (nothing is left, or the limit is reached), or → stopped (by a person, by its canary, or
 * because the queue was closed). Both are final: asking again with the same id redrives nothing more.
 */
import type { Redrive } from '@millrace/contracts'
import { allowedNow, nextAllowed } from './pace.ts'

export interface RedriveState extends Omit<Redrive, 'canary'> {
  readonly canary?: NonNullable<Redrive['canary']>
  /** Where to go on looking. */
  readonly after: string
  /** The newest letter at the beginning; later ones are not for this redrive. */
  readonly upTo: string
  /** Nothing is left to look at. */
  readonly exhausted: boolean
  /** Not before this time by the store's clock, where there is a rate. */
  readonly nextAtMs: number
}

export type RedriveMove =
  /** Redrive up to so many letters. */
  | { readonly kind: 'take'; readonly atMost: number }
  | { readonly kind: 'wait'; readonly ms: number }
  /** See what has become of the jobs of the canary's step. */
  | { readonly kind: 'watch'; readonly ids: readonly string[] }
  | { readonly kind: 'end'; readonly next: RedriveState }

/** One script call redrives at most this many, so that none holds the server up for long. */
const MAX_TAKE = 100
/** How often the jobs of a canary's step are looked at. */
export const WATCH_MS = 200

const STEP_SIZES = { first: 1, ten: 10, rest: Number.POSITIVE_INFINITY } as const
const NEXT_STEP = { first: 'ten', ten: 'rest', rest: 'rest' } as const

/** What a running redrive does next. `nowMs` is the store's clock. */
export function nextMove(state: RedriveState, nowMs: number): RedriveMove {
  const left = (state.limit ?? Number.POSITIVE_INFINITY) - state.redriven
  const over = state.exhausted || left <= 0
  const { canary } = state
  if (canary && canary.step !== 'rest') {
    const room = STEP_SIZES[canary.step] - canary.taken
    if (room > 0 && !over) return { kind: 'take', atMost: Math.min(room, left) }
    const verdict = judge(canary)
    if (verdict) return { kind: 'end', next: stopRedrive(state, { who: 'millrace', why: verdict, nowMs }) }
    if (canary.waitingFor.length > 0) return { kind: 'watch', ids: canary.waitingFor }
    if (!over) return nextMove(nextStep(state, canary), nowMs)
  }
  if (over) return { kind: 'end', next: { ...state, state: 'finished', endedAt: timeOf(nowMs) } }
  return takeAtRate(state, { left, nowMs })
}

/** The share is of all that the step took, so the jobs that still run may save it only while they can. */
function judge({ taken, died, failureShare }: NonNullable<RedriveState['canary']>): string | undefined {
  if (died === 0 || died / taken <= failureShare) return undefined
  return taken === 1 ? 'the first job died again' : `${died} of ${taken} jobs died again`
}

function nextStep(state: RedriveState, canary: NonNullable<RedriveState['canary']>): RedriveState {
  return { ...state, canary: { ...canary, step: NEXT_STEP[canary.step], taken: 0, died: 0 } }
}

function takeAtRate(
  { ratePerSecond, nextAtMs }: RedriveState,
  { left, nowMs }: { left: number; nowMs: number },
): RedriveMove {
  const atMost = Math.min(MAX_TAKE, left)
  if (ratePerSecond === undefined) return { kind: 'take', atMost }
  const allowed = allowedNow({ ratePerSecond, nextAtMs }, nowMs)
  return allowed.kind === 'wait' ? allowed : { kind: 'take', atMost: Math.min(atMost, allowed.atMost) }
}

export interface Taken {
  readonly ids: readonly string[]
  readonly lookedAt: number
  readonly after: string
  readonly exhausted: boolean
  readonly nowMs: number
}

/** The state after letters were taken (or none, where none of those looked at was meant). */
export function afterTaking(state: RedriveState, { ids, lookedAt, after, exhausted, nowMs }: Taken): RedriveState {
  const moved = {
    ...inStep(state),
    redriven: state.redriven + ids.length,
    lookedAt: state.lookedAt + lookedAt,
    after,
    exhausted,
  }
  const { canary, ratePerSecond } = moved
  if (canary && canary.step !== 'rest') {
    const waitingFor = [...canary.waitingFor, ...ids]
    return { ...moved, canary: { ...canary, taken: canary.taken + ids.length, waitingFor } }
  }
  if (ratePerSecond === undefined || ids.length === 0) return moved
  return { ...moved, nextAtMs: nextAllowed({ ratePerSecond, nextAtMs: state.nextAtMs }, { taken: ids.length, nowMs }) }
}

/** `nextMove` looks through the end of a step; the state steps on when the next one takes its first letter. */
function inStep(state: RedriveState): RedriveState {
  const { canary } = state
  if (!canary || canary.step === 'rest') return state
  return canary.taken >= STEP_SIZES[canary.step] && canary.waitingFor.length === 0 ? nextStep(state, canary) : state
}

/** The state after a look at the canary's jobs; the same one when nothing has become of any. */
export function afterWatching(
  state: RedriveState,
  { died, ended }: { died: readonly string[]; ended: readonly string[] },
): RedriveState {
  const { canary } = state
  if (!canary || died.length + ended.length === 0) return state
  const gone = new Set([...died, ...ended])
  const waitingFor = canary.waitingFor.filter((id) => !gone.has(id))
  return { ...state, canary: { ...canary, waitingFor, died: canary.died + died.length } }
}

export function stopRedrive(
  state: RedriveState,
  { who, why, nowMs }: { who: string; why?: string | undefined; nowMs: number },
): RedriveState {
  return {
    ...state,
    state: 'stopped',
    endedAt: timeOf(nowMs),
    stopped: { who, ...(why !== undefined && { why }) },
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

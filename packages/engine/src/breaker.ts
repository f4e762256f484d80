import type { FailureReason } from '@millrace/contracts'
import type { AttemptResult } from './classify.ts'

/**
 * The circuit breaker of an endpoint, as a value that results evolve.
 *
 * closed: requests go out, up to `ramp` at once after a recovery. Opens when five requests in a row could not connect, or
 * when half of the last twenty (at least ten) got no usable answer.
 * open: nothing goes out until `untilMs`; jobs stay where they are and burn no attempt.
 * half open: one probe goes out. A healthy answer closes the circuit with a ramp of one that doubles with each healthy
 * answer, so that a recovering endpoint is not flattened by its backlog; an unhealthy one opens it again for twice as long.
 *
 * A handler that answers 500 is healthy in this sense: it is there, and says that this one job failed, for which there is
 * the retry policy. Unhealthy is what gets no answer, or a gateway's word that there is nobody behind it (502, 503, 504).
 */
export type Breaker =
  | {
      readonly kind: 'closed'
      /** How many of the last results are remembered, at most twenty. */
      readonly seen: number
      /** A bit for each of them, the newest lowest: 1 for an unhealthy one. A number, because each answer makes a new one. */
      readonly failed: number
      readonly refusals: number
      readonly ramp?: number
    }
  | { readonly kind: 'open'; readonly sinceMs: number; readonly untilMs: number; readonly pauseMs: number }
  | { readonly kind: 'half_open'; readonly sinceMs: number; readonly pauseMs: number }

const WINDOW = 20
const MIN_RESULTS = 10
const OPEN_SHARE = 0.5
const MAX_REFUSALS = 5
const FIRST_PAUSE_MS = 1000
const MAX_PAUSE_MS = 60_000
/** A ramp that has grown to this is no limit any more. */
const RAMP_END = 256

const GATEWAY_STATUSES = new Set([502, 503, 504])
const NO_CONNECTION: ReadonlySet<FailureReason> = new Set(['connection_refused', 'dns', 'target_refused', 'tls'])

const CLOSED_AGAIN = { kind: 'closed', seen: 0, failed: 0, refusals: 0 } as const
export const CLOSED: Breaker = Object.freeze(CLOSED_AGAIN)

function remember({ seen, failed }: { seen: number; failed: number }, bit: 0 | 1) {
  return { seen: Math.min(seen + 1, WINDOW), failed: ((failed << 1) | bit) & (2 ** WINDOW - 1) }
}

function bitsIn(mask: number): number {
  let count = 0
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++
  return count
}

/** How a result speaks of the endpoint, apart from the job. */
export function healthOf(result: AttemptResult): 'healthy' | 'unhealthy' | 'refused' | 'unknown' {
  if (result.kind === 'response') return GATEWAY_STATUSES.has(result.status) ? 'unhealthy' : 'healthy'
  // Ended by us, so it says nothing about the endpoint.
  if (result.reason === 'cancelled' || result.reason === 'network') return 'unknown'
  return NO_CONNECTION.has(result.reason) ? 'refused' : 'unhealthy'
}

/** The breaker after a result. */
export function observe(breaker: Breaker, health: ReturnType<typeof healthOf>, nowMs: number): Breaker {
  if (health === 'unknown') return breaker
  if (health === 'healthy') return recover(breaker)
  switch (breaker.kind) {
    case 'closed': {
      const results = remember(breaker, 1)
      const refusals = health === 'refused' ? breaker.refusals + 1 : 0
      const enough = results.seen >= MIN_RESULTS && bitsIn(results.failed) >= results.seen * OPEN_SHARE
      const trips = refusals >= MAX_REFUSALS || enough
      if (trips) return { kind: 'open', sinceMs: nowMs, untilMs: nowMs + FIRST_PAUSE_MS, pauseMs: FIRST_PAUSE_MS }
      return { ...breaker, ...results, refusals }
    }
    case 'half_open': {
      const pauseMs = Math.min(breaker.pauseMs * 2, MAX_PAUSE_MS)
      return { kind: 'open', sinceMs: breaker.sinceMs, untilMs: nowMs + pauseMs, pauseMs }
    }
    case 'open':
      // Answers to what was sent before it opened are no news.
      return breaker
    default:
      return breaker satisfies never
  }
}

function recover(breaker: Breaker): Breaker {
  if (breaker.kind === 'half_open') return { ...CLOSED_AGAIN, ramp: 1 }
  if (breaker.kind === 'open') return breaker
  // The usual case: twenty good answers, and one more.
  const { seen, failed, refusals } = breaker
  if (seen === WINDOW && failed === 0 && refusals === 0 && breaker.ramp === undefined) return breaker
  const ramp = breaker.ramp === undefined ? undefined : breaker.ramp * 2
  return { ...CLOSED_AGAIN, ...remember(breaker, 0), ...(ramp !== undefined && ramp < RAMP_END && { ramp }) }
}

/** The breaker after time has passed: an open one lets a probe out when its pause is over. */
export function awaken(breaker: Breaker, nowMs: number): Breaker {
  if (breaker.kind !== 'open' || nowMs < breaker.untilMs) return breaker
  return { kind: 'half_open', sinceMs: breaker.sinceMs, pauseMs: breaker.pauseMs }
}

/** How many requests may be under way at once. */
export function allowance(breaker: Breaker): number {
  switch (breaker.kind) {
    case 'closed':
      return breaker.ramp ?? Number.POSITIVE_INFINITY
    case 'half_open':
      return 1
    case 'open':
      return 0
    default:
      return breaker satisfies never
  }
}

import type { FailureReason } from '@millrace/contracts'
import { MAX_RETRY_AFTER_MS, retryDelay } from './backoff.ts'
import type { Outcome, RetryPolicy } from './classify.ts'

/** How an attempt failed that was a call of a function: what it threw, or that it took too long, or was cancelled. */
export interface HandlerFailure {
  readonly reason: Extract<FailureReason, 'worker_failed' | 'no_retry' | 'timeout' | 'cancelled'>
  /** What was thrown, with its stack; the first 4 KiB are kept. */
  readonly error: string
  /** The handler asks for at least this wait. */
  readonly retryAfterMs?: number
  /** False: the attempt is not to count, and the handler says when the next one is. */
  readonly counts?: boolean
}

const KEPT_ERROR_CHARACTERS = 4096

/**
 * What a handler's failure means: the same policy as for an answer over HTTP, with the same ends. A failure that does not
 * count is tried again for ever, as a postponed answer is.
 */
export function judgeFailure(
  { reason, error, retryAfterMs = 0, counts = true }: HandlerFailure,
  { attempt, policy, random }: { attempt: number; policy: RetryPolicy; random: number },
): Exclude<Outcome, { kind: 'succeeded' | 'leased' }> {
  const failure = { reason, lastResponse: { error: error.slice(0, KEPT_ERROR_CHARACTERS) } }
  if (reason === 'cancelled') return { kind: 'cancelled', ...failure }
  if (reason === 'no_retry') return { kind: 'dead', ...failure }
  if (!counts) {
    const delayMs = Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)
    return { kind: 'postpone', delayMs, pausesQueue: false, ...failure }
  }
  const { retries, backoff, retryDelayMs } = policy
  if (attempt > retries) return { kind: 'dead', ...failure }
  return {
    kind: 'retry',
    delayMs: retryDelay({ backoff, retryDelayMs, retry: attempt, retryAfterMs, random }),
    ...failure,
  }
}

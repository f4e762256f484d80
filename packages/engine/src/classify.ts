import type { Backoff, FailureReason, LastResponse } from '@millrace/contracts'
import { parseRetryAfter, retryDelay } from './backoff.ts'

/** What came of one HTTP request to an endpoint. */
export type AttemptResult =
  | {
      readonly kind: 'response'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string
    }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly error: string }

export interface RetryPolicy {
  /** Retries after the first attempt: `retries: 3` means at most 4 requests. */
  readonly retries: number
  readonly retryDelayMs: number
  readonly backoff: Backoff
}

export type Outcome =
  | { readonly kind: 'succeeded'; readonly status: number }
  | {
      readonly kind: 'retry'
      readonly delayMs: number
      readonly reason: FailureReason
      readonly lastResponse: LastResponse
    }
  | { readonly kind: 'dead'; readonly reason: FailureReason; readonly lastResponse: LastResponse }

/** The status by which an endpoint says that trying again is pointless. */
const NO_RETRY_STATUS = 489

/**
 * What an attempt's result means. 2xx completes, whatever the body says. Everything else is a failed attempt: retried
 * while retries are left, dead after that, and dead at once when the endpoint says so (489 or `x-no-retry: 1`).
 * Redirects are not followed, so a 3xx is a failure.
 */
export function classify(
  result: AttemptResult,
  { attempt, policy, nowMs, random }: { attempt: number; policy: RetryPolicy; nowMs: number; random: number },
): Outcome {
  if (result.kind === 'response' && result.status >= 200 && result.status < 300)
    return { kind: 'succeeded', status: result.status }
  const lastResponse = toLastResponse(result)
  const reason = failureReason(result)
  if (reason === 'no_retry' || attempt > policy.retries) return { kind: 'dead', reason, lastResponse }
  const retryAfterMs = result.kind === 'response' ? parseRetryAfter(result.headers['retry-after'], nowMs) : undefined
  const { backoff, retryDelayMs } = policy
  return {
    kind: 'retry',
    delayMs: retryDelay({ backoff, retryDelayMs, retry: attempt, retryAfterMs, random }),
    reason,
    lastResponse,
  }
}

function failureReason(result: AttemptResult): FailureReason {
  if (result.kind === 'failed') return result.reason
  if (result.status === NO_RETRY_STATUS || result.headers['x-no-retry'] === '1') return 'no_retry'
  return result.status >= 300 && result.status < 400 ? 'redirect' : 'http_status'
}

function toLastResponse(result: AttemptResult): LastResponse {
  if (result.kind === 'failed') return { error: result.error }
  const { status, headers, body } = result
  return { status, headers: { ...headers }, body }
}

import type { Backoff } from '@millrace/contracts'

export interface RetryDelayInput {
  readonly backoff: Backoff
  readonly retryDelayMs: number
  /** Which retry this is the wait for: 1 after the first attempt failed. */
  readonly retry: number
  /** What the endpoint asked for, if it did. */
  readonly retryAfterMs?: number
  /** Uniform in [0, 1). */
  readonly random: number
}

/** An endpoint may ask for a longer wait than the backoff, up to a day; beyond that it is taken as a day. */
export const MAX_RETRY_AFTER_MS = 86_400_000

/**
 * The wait before a retry, in ms: `retryDelayMs × factor^(retry−1)` (exponential), `× retry` (linear), as it is (fixed), or
 * the one that stands in the list; capped by `maxDelayMs`, then moved into [d × (1 − jitter), d] so that retries of one outage do not come back
 * together. A longer `Retry-After` wins, without jitter: it is a promise not to come earlier.
 */
export function retryDelay({ backoff, retryDelayMs, retry, retryAfterMs = 0, random }: RetryDelayInput): number {
  const grown = waitOf(backoff, retryDelayMs, retry)
  const capped = Math.min(grown, Math.max(backoff.maxDelayMs, 0))
  const jittered = capped * (1 - backoff.jitter * random)
  return Math.max(Math.round(jittered), Math.min(retryAfterMs, MAX_RETRY_AFTER_MS))
}

function waitOf({ type, factor, delaysMs = [] }: Backoff, retryDelayMs: number, retry: number): number {
  switch (type) {
    case 'exponential':
      // Capped, since no wait (0) times Infinity would be no number at all.
      return retryDelayMs * Math.min(factor ** (retry - 1), Number.MAX_VALUE)
    case 'linear':
      return retryDelayMs * retry
    case 'fixed':
      return retryDelayMs
    case 'list':
      return delaysMs[Math.min(retry, delaysMs.length) - 1] ?? retryDelayMs
    default:
      return type satisfies never
  }
}

/** `Retry-After` as ms from now: seconds or an HTTP date (RFC 9110, 10.2.3). Undefined when it is neither. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000
  // An HTTP date ends in GMT; anything looser would take garbage such as "5 apples" for a year.
  if (!/^[A-Za-z]{3,9}, .* GMT$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}

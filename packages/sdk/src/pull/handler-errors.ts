/**
 * Thrown by a handler: trying again is pointless, the job is a dead letter now. An error of any other class with
 * `noRetry: true` on it means the same.
 */
export class NoRetry extends Error {
  override readonly name = 'NoRetry'
  readonly noRetry = true
}

export interface RetryAfterOptions {
  readonly message?: string
  /** False: the attempt does not count against the job's retries. For "not now" (a rate limit), not for "failed". */
  readonly counts?: boolean
  readonly cause?: unknown
}

/** Thrown by a handler: try again, but not before `delayMs` from now. A longer wait of the queue's own backoff stands. */
export class RetryAfter extends Error {
  override readonly name = 'RetryAfter'
  readonly delayMs: number
  readonly counts: boolean

  /** @throws TypeError when `delayMs` is not a number of ms, 0 or more; at most a day is waited. */
  constructor(delayMs: number, { message, counts = true, cause }: RetryAfterOptions = {}) {
    super(message ?? `not before ${delayMs} ms from now`, { cause })
    if (!(delayMs >= 0)) throw new TypeError(`RetryAfter takes milliseconds, 0 or more; got ${delayMs}`)
    this.delayMs = Math.round(delayMs)
    this.counts = counts
  }
}

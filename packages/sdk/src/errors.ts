/** An RFC 9457 problem document, as the platform sends it. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
}

export interface MillraceErrorDetails {
  readonly code: string
  readonly status?: number
  readonly problem?: Problem
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/**
 * Every failure that this package reports.
 *
 * `code` is the platform's own where it sent a problem document (`queue.unknown`, `idempotency.conflict`, ...), otherwise
 * one of ours: `sdk.unreachable` (no answer at all), `sdk.timeout` (no answer in time), `sdk.bad_answer` (a success that
 * could not be read), `sdk.refused` (an error without a problem document), `sdk.invalid_input` (nothing was sent, or a
 * secret is none), `sdk.buffer_full` (too many emits wait for the audit service), and of a request that is no delivery
 * `sdk.signature_missing`, `sdk.signature_expired`, `sdk.signature_invalid` and `sdk.body_too_large`.
 */
export class MillraceError extends Error {
  readonly code: string
  /** The HTTP status, when there was an answer. */
  readonly status: number | undefined
  readonly problem: Problem | undefined
  /** How long the platform asked to be left alone, when it did. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, details: MillraceErrorDetails) {
    super(message, { cause: details.cause })
    this.name = 'MillraceError'
    this.code = details.code
    this.status = details.status
    this.problem = details.problem
    this.retryAfterMs = details.retryAfterMs
  }
}

/** What may go well the next time: no answer, an unreadable one, or one that says "not now". */
export function isTransient(error: MillraceError): boolean {
  if (error.code === 'sdk.unreachable' || error.code === 'sdk.timeout' || error.code === 'sdk.bad_answer') return true
  const { status = 0 } = error
  return status >= 500 || status === 408 || status === 425 || status === 429
}

import {
  type Backoff,
  type FailureReason,
  type LastResponse,
  type OnStatus,
  STORE_LIMITS,
  type StatusAction,
} from '@millrace/contracts'
import { parseRetryAfter, retryDelay } from './backoff.ts'

/** What came of one HTTP request to an endpoint. */
export type AttemptResult =
  | {
      readonly kind: 'response'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      /** As much of the body as was read. */
      readonly body: string
      /** More of it came than was kept. */
      readonly truncated: boolean
      /** A wait that was asked for in ms, where it does not stand in `Retry-After`. */
      readonly retryAfterMs?: number
    }
  | {
      readonly kind: 'failed'
      readonly reason: FailureReason
      readonly error: string
      /** What was answered, where that was no use. */
      readonly answer?: Pick<LastResponse, 'status' | 'headers' | 'body'>
    }

export interface RetryPolicy {
  /** Retries after the first attempt: `retries: 3` means at most 4 requests. */
  readonly retries: number
  readonly retryDelayMs: number
  readonly backoff: Backoff
  /** The response policy table of the queue. */
  readonly onStatus?: OnStatus | undefined
}

interface Failed {
  readonly reason: FailureReason
  readonly lastResponse: LastResponse
}

/** `postpone` is a retry that does not count; with `pausesQueue` the whole queue waits for a person. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly status: number; readonly result?: string }
  | ({ readonly kind: 'retry'; readonly delayMs: number } & Failed)
  | ({ readonly kind: 'postpone'; readonly delayMs: number; readonly pausesQueue: boolean } & Failed)
  | ({ readonly kind: 'dead' } & Failed)
  | ({ readonly kind: 'cancelled' } & Failed)
  /** The worker has taken the job over for a time and will say how it ends. */
  | { readonly kind: 'leased'; readonly leaseMs: number }

/** The status by which an endpoint says that trying again is pointless. */
const NO_RETRY_STATUS = 489
/** Of an answer's body this much goes into the dead letter and the history. */
export const KEPT_BODY_CHARACTERS = 4096
/** A larger answer is not kept as the job's result. */
export const MAX_RESULT_CHARACTERS = STORE_LIMITS.resultCharacters.value

export interface ClassifyContext {
  readonly attempt: number
  readonly policy: RetryPolicy
  readonly nowMs: number
  readonly random: number
}

/**
 * What an attempt's result means. 2xx completes, whatever the body says. Everything else is a failed attempt: retried
 * while retries are left, dead after that, and dead at once when the endpoint says so (489 or `x-no-retry: 1`).
 * Redirects are not followed, so a 3xx is a failure. A queue's response policy table goes before all of this.
 */
export function classify(result: AttemptResult, context: ClassifyContext): Outcome {
  if (result.kind === 'failed' && result.reason === 'cancelled') return { kind: 'cancelled', ...failureOf(result) }
  const leaseMs = leaseOf(result)
  if (leaseMs !== undefined) return { kind: 'leased', leaseMs }
  const action = actionFor(result, context.policy.onStatus) ?? usualAction(result)
  switch (action) {
    case 'complete':
      return succeed(result)
    case 'dead':
      return { kind: 'dead', ...failureOf(result) }
    case 'retry':
      if (context.attempt > context.policy.retries) return { kind: 'dead', ...failureOf(result) }
      return { kind: 'retry', delayMs: delayOf(result, context), ...failureOf(result) }
    case 'postpone':
    case 'pause':
      return {
        kind: 'postpone',
        delayMs: delayOf(result, context),
        pausesQueue: action === 'pause',
        ...failureOf(result),
      }
    default:
      return action satisfies never
  }
}

/** A worker's lease may last a day, and then be extended. */
export const MAX_LEASE_SECONDS = 86_400

/** `202` with `x-job-lease: <seconds>`; a plain 202 completes, and so does one with a lease that makes no sense. */
function leaseOf(result: AttemptResult): number | undefined {
  if (result.kind !== 'response' || result.status !== 202) return undefined
  const seconds = Number(result.headers['x-job-lease'])
  return Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_LEASE_SECONDS ? seconds * 1000 : undefined
}

/** What the table says of a result: of a status itself first, then of its class. */
function actionFor(result: AttemptResult, table: OnStatus | undefined): StatusAction | undefined {
  if (!table) return undefined
  const names =
    result.kind === 'response'
      ? [String(result.status), `${Math.floor(result.status / 100)}xx`]
      : unanswered(result.reason)
  for (const name of names) {
    for (const [statuses, action] of Object.entries(table)) {
      if (statuses.split(',').includes(name)) return action
    }
  }
  return undefined
}

/** What the table calls a request that failed. One that was answered, though not for this job, is none of these. */
function unanswered(reason: FailureReason): string[] {
  if (reason === 'no_result') return []
  return reason === 'timeout' ? ['timeout', 'network'] : ['network']
}

function usualAction(result: AttemptResult): StatusAction {
  if (result.kind === 'failed') return 'retry'
  if (result.status >= 200 && result.status < 300) return 'complete'
  return endsRetries(result) ? 'dead' : 'retry'
}

function endsRetries({ status, headers }: { status: number; headers: Readonly<Record<string, string>> }): boolean {
  return status === NO_RETRY_STATUS || headers['x-no-retry'] === '1'
}

function delayOf(result: AttemptResult, { attempt, policy, nowMs, random }: ClassifyContext): number {
  const retryAfterMs =
    result.kind === 'response'
      ? (result.retryAfterMs ?? parseRetryAfter(result.headers['retry-after'], nowMs))
      : undefined
  const { backoff, retryDelayMs } = policy
  return retryDelay({ backoff, retryDelayMs, retry: attempt, retryAfterMs, random })
}

function succeed(result: AttemptResult): Outcome {
  if (result.kind === 'failed') return { kind: 'succeeded', status: 0 }
  const kept = resultOf(result)
  return { kind: 'succeeded', status: result.status, ...(kept !== undefined && { result: kept }) }
}

/** The answer as the job's result: a whole JSON document of up to 64 KiB, kept as it came. */
function resultOf(result: AttemptResult & { kind: 'response' }): string | undefined {
  const type = result.headers['content-type']
  if (result.truncated || type === undefined || !/^application\/(?:[\w.+-]+\+)?json/.test(type)) return undefined
  const { body } = result
  if (body.length === 0 || body.length > MAX_RESULT_CHARACTERS) return undefined
  try {
    JSON.parse(body)
    return body
  } catch {
    return undefined
  }
}

function failureOf(result: AttemptResult): Failed {
  if (result.kind === 'failed')
    return { reason: result.reason, lastResponse: { ...result.answer, error: result.error } }
  const { status, headers, body } = result
  const reason = endsRetries(result) ? 'no_retry' : status >= 300 && status < 400 ? 'redirect' : 'http_status'
  return { reason, lastResponse: { status, headers: { ...headers }, body: body.slice(0, KEPT_BODY_CHARACTERS) } }
}

import { randomUUID } from 'node:crypto'
import type { QueueDefinition } from '@millrace/contracts'
import type { SpanIds } from '@millrace/delivery'
import { type AttemptResult, buildDelivery, classify, type DeliveryInput, type Outcome } from '@millrace/engine'
import type { Clock } from '@millrace/runtime'
import type { ClaimedJob, LeasedPolicy } from '@millrace/streams'
import type { Sign } from '../signing/signer.ts'
import type { OpenRanges } from '../targets/open-ranges.ts'
import type { AttemptTraces } from './attempt-traces.ts'
import type { Sender, Sending } from './sender.ts'

/** Where a queue is delivered. */
export interface Place {
  readonly definition: QueueDefinition
  readonly origin: string
  readonly path: string
  /** Where its connections may go. */
  readonly ranges: OpenRanges
}

/** Where and how a queue is delivered; made once per version of the manifest. */
export interface Target extends Place {
  readonly sign: Sign
}

export interface AttemptDeps {
  readonly sender: Sender
  readonly clock: Clock
  /** Only where attempts are traced. */
  readonly traces?: AttemptTraces | undefined
  random(): number
}

export interface Attempted {
  readonly token: string
  readonly policy: LeasedPolicy
  readonly result: AttemptResult
  readonly outcome: Outcome
  readonly durationMs: number
  readonly span?: SpanIds | undefined
}

/** Called exactly once, whatever happens: what an endpoint does is an outcome. */
export type OnAttempted = (attempted: Attempted) => void

export function placeOf(definition: QueueDefinition, serviceUrl: string, ranges: OpenRanges): Place {
  if (definition.sink !== undefined) {
    const { origin, pathname, search } = new URL(definition.sink)
    return { definition, origin, path: `${pathname}${search}`, ranges }
  }
  const { origin, pathname } = new URL(serviceUrl)
  return { definition, origin, path: `${pathname.replace(/\/$/, '')}${definition.endpoint ?? ''}`, ranges }
}

/** Make one attempt: build the request, sign it, send it, say what its result means. */
export function attempt(
  job: ClaimedJob,
  target: Target,
  { sender, clock, traces, random }: AttemptDeps,
  onAttempted: OnAttempted,
): Sending {
  const { definition, origin, path, ranges } = target
  const { timeoutMs = definition.timeoutMs } = job.meta
  const startedAt = clock.now()
  const token = randomUUID()
  const maxAttempts = maxAttemptsOf(job, definition)
  const request = buildDelivery(inputOf(job, token), { definition, maxAttempts, timeoutMs, nowMs: startedAt })
  target.sign(request, startedAt)
  const { headers, body } = request
  const span = traces?.one(job, target)
  if (span) Object.assign(headers, span.headers)
  return sender.send({ origin, path, ranges, headers, body, timeoutMs }, (result) => {
    const nowMs = clock.now()
    const context = { job, token, definition, startedAt, nowMs, random: random(), span: span?.ids }
    const attempted = attemptedOf(result, context)
    span?.end(attempted)
    onAttempted(attempted)
  })
}

export interface AttemptedContext {
  readonly job: ClaimedJob
  readonly token: string
  readonly definition: QueueDefinition
  readonly startedAt: number
  readonly nowMs: number
  readonly random: number
  readonly span?: SpanIds | undefined
}

/** What a job's attempt came to, by the rules that hold for this job. */
export function attemptedOf(
  result: AttemptResult,
  { job, token, definition, startedAt, nowMs, random, span }: AttemptedContext,
): Attempted {
  const { retries = definition.retries, backoff = definition.backoff } = job.meta
  const { retryDelayMs = definition.retryDelayMs } = job.meta
  const { onStatus } = definition
  const policy = { retries, retryDelayMs, backoff, onStatus }
  const outcome = classify(result, { attempt: job.attempt, policy, nowMs, random })
  return { result, outcome, durationMs: nowMs - startedAt, token, policy, span }
}

export function inputOf({ id, attempt, epoch, data, meta }: ClaimedJob, token: string): DeliveryInput {
  const { traceparent, tracestate, replay } = meta
  return { id, attempt, epoch, data, token, traceparent, tracestate, replay }
}

export function maxAttemptsOf({ meta }: ClaimedJob, definition: QueueDefinition): number {
  return (meta.retries ?? definition.retries) + 1
}

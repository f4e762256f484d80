import { randomUUID } from 'node:crypto'
import type { QueueDefinition } from '@millrace/contracts'
import type { SpanIds } from '@millrace/delivery'
import {
  type AttemptResult,
  buildDelivery,
  classify,
  type DeliveryInput,
  type DeliveryRequest,
  type Outcome,
} from '@millrace/engine'
import type { Clock } from '@millrace/runtime'
import type { ClaimedJob, LeasedPolicy } from '@millrace/streams'
import type { TraceCarrier } from '@millrace/traces'
import type { Sign } from '../signing/signer.ts'
import type { OpenRanges } from '../targets/open-ranges.ts'
import type { AttemptTraces } from './attempt-traces.ts'
import { failureOf } from './send-failure.ts'
import { ENDED, type Sender, type Sending } from './sender.ts'

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
  const span = traces?.one(job, target)
  const onResult = (result: AttemptResult) => {
    const nowMs = clock.now()
    const context = { job, token, definition, startedAt, nowMs, random: random(), span: span?.ids }
    const attempted = attemptedOf(result, context)
    span?.end(attempted)
    onAttempted(attempted)
  }
  let request: DeliveryRequest
  try {
    const input = inputOf(job, token, span?.headers)
    request = buildDelivery(input, { definition, maxAttempts, timeoutMs, nowMs: startedAt })
  } catch (error) {
    // A request that cannot even be made is a failed attempt like any other.
    onResult(failureOf(error, { started: false }))
    return ENDED
  }
  const lines = request.lines + target.sign(request, startedAt)
  return sender.send({ origin, path, ranges, lines, body: request.body, timeoutMs }, onResult)
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

/** Of a job as its request has it; the trace is the job's own, unless the request has one. */
export function inputOf(
  { id, attempt, epoch, data, meta }: ClaimedJob,
  token: string,
  trace: TraceCarrier = meta,
): DeliveryInput {
  const { traceparent = meta.traceparent, tracestate = meta.tracestate } = trace
  return { id, attempt, epoch, data, token, traceparent, tracestate, replay: meta.replay }
}

export function maxAttemptsOf({ meta }: ClaimedJob, definition: QueueDefinition): number {
  return (meta.retries ?? definition.retries) + 1
}

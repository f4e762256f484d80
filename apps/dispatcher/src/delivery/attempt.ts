import { randomUUID } from 'node:crypto'
import type { QueueDefinition } from '@millrace/contracts'
import { type AttemptResult, buildDelivery, classify, type Outcome } from '@millrace/engine'
import type { Clock } from '@millrace/runtime'
import type { ClaimedJob, LeasedPolicy } from '@millrace/streams'
import type { Sender } from './sender.ts'

/** Where and how a queue is delivered; made once per version of the manifest. */
export interface Target {
  readonly definition: QueueDefinition
  readonly origin: string
  readonly path: string
}

export interface AttemptDeps {
  readonly sender: Sender
  readonly clock: Clock
  random(): number
}

export interface Attempted {
  readonly token: string
  readonly policy: LeasedPolicy
  readonly result: AttemptResult
  readonly outcome: Outcome
  readonly durationMs: number
}

/** An attempt under way. */
export interface Attempt {
  /** Never rejects: what an endpoint does is an outcome. */
  readonly done: Promise<Attempted>
  end(result: AttemptResult): void
}

export function targetOf(definition: QueueDefinition, serviceUrl: string): Target {
  const { origin, pathname } = new URL(serviceUrl)
  return { definition, origin, path: `${pathname.replace(/\/$/, '')}${definition.endpoint}` }
}

/** Make one attempt: build the request, send it, say what its result means. */
export function attempt(job: ClaimedJob, target: Target, { sender, clock, random }: AttemptDeps): Attempt {
  const { definition, origin, path } = target
  const { retries = definition.retries, timeoutMs = definition.timeoutMs, traceparent } = job.meta
  const { retryDelayMs = definition.retryDelayMs, backoff = definition.backoff } = job.meta
  const { onStatus } = definition
  const startedAt = clock.now()
  const token = randomUUID()
  const request = buildDelivery(
    {
      id: job.id,
      attempt: job.attempt,
      epoch: job.epoch,
      data: job.data,
      token,
      ...(traceparent !== undefined && { traceparent }),
    },
    { definition, maxAttempts: retries + 1, timeoutMs, nowMs: startedAt },
  )
  const sending = sender.send({ origin, path, headers: request.headers, body: request.body, timeoutMs })
  const done = sending.answer.then((result): Attempted => {
    const nowMs = clock.now()
    const policy = { retries, retryDelayMs, backoff }
    const rules = { ...policy, ...(onStatus && { onStatus }) }
    const outcome = classify(result, { attempt: job.attempt, policy: rules, nowMs, random: random() })
    return { result, outcome, durationMs: nowMs - startedAt, token, policy }
  })
  return { done, end: (result) => sending.end(result) }
}

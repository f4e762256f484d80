import type { QueueDefinition } from '@millrace/contracts'
import { type AttemptResult, buildDelivery, classify } from '@millrace/engine'
import type { Clock } from '@millrace/runtime'
import type { ClaimedJob, Settlement } from '@millrace/streams'
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

export function targetOf(definition: QueueDefinition, serviceUrl: string): Target {
  const { origin, pathname } = new URL(serviceUrl)
  return { definition, origin, path: `${pathname.replace(/\/$/, '')}${definition.endpoint}` }
}

/** Make one attempt: build the request, send it, say what its result means. Never throws for what an endpoint does. */
export async function attempt(
  job: ClaimedJob,
  { target, signal }: { target: Target; signal: AbortSignal },
  { sender, clock, random }: AttemptDeps,
): Promise<Settlement> {
  const { definition, origin, path } = target
  const { retries = definition.retries, timeoutMs = definition.timeoutMs, traceparent } = job.meta
  const startedAt = clock.now()
  const request = buildDelivery(
    { ...job, traceparent },
    { definition, maxAttempts: retries + 1, timeoutMs, nowMs: startedAt },
  )
  const result: AttemptResult = await sender.send({ origin, path, ...request, timeoutMs, signal })
  const nowMs = clock.now()
  const policy = { retries, retryDelayMs: definition.retryDelayMs, backoff: definition.backoff }
  const outcome = classify(result, { attempt: job.attempt, policy, nowMs, random: random() })
  return { ...outcome, durationMs: nowMs - startedAt }
}

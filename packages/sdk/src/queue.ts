import { MillraceError } from './errors.ts'
import { baseUrl, bearer, requestJson, toJson } from './http.ts'
import { toTime } from './time-option.ts'
import { tracedSend } from './traces/traced-send.ts'

// The dispatcher answers once Redis has the job, in milliseconds. Ten seconds is an outage.
const DEFAULT_REQUEST_TIMEOUT_MS = 10_000

export interface QueueOptions {
  /** The dispatcher, as in `IEC_QUEUE_URL`. */
  readonly url: string
  /** The service that declared the queues. */
  readonly namespace: string
  /** Where the dispatcher asks for one: a key with the role producer in the namespace. */
  readonly apiKey?: string
  /** How long one request to the dispatcher may take; 10,000 ms unless told. */
  readonly requestTimeoutMs?: number
}

export interface EnqueueOptions {
  /** Not before this many milliseconds from now. */
  readonly delayMs?: number
  /** Not before this time; a past time means now. A string is RFC 3339. */
  readonly runAt?: Date | string
  readonly priority?: 'high' | 'normal' | 'low'
  /** The same key on the same queue within 24 hours gives the same job. */
  readonly idempotencyKey?: string
  /** Not started by then: the job expires. A string is RFC 3339. */
  readonly expiresAt?: Date | string
  /** Retries after the first attempt, instead of what the queue declares. */
  readonly retries?: number
  /** How long the worker may take, instead of what the queue declares. */
  readonly timeoutMs?: number
}

export interface Enqueued {
  readonly id: string
  /** What the accepting Redis had done with the job when it answered: `fsync`, `everysec` (within a second), `memory`, `unknown`. */
  readonly durability: string
  /** How many replicas Redis passes it on to, without waiting for them; missing where it does not tell. */
  readonly replicas?: number
}

export interface Queue {
  /**
   * Puts one job into `queue`. When it resolves, the job is accepted and will be delivered at least once.
   *
   * It is sent once: without an `idempotencyKey` a second try after a timeout could be a second job, so whether to try
   * again is the caller's to decide. With a key it is safe.
   *
   * @throws MillraceError when the job was refused, or when nobody knows because there was no answer.
   */
  enqueue(queue: string, data: unknown, options?: EnqueueOptions): Promise<Enqueued>
}

export function createQueue({
  url,
  namespace,
  apiKey,
  requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS,
}: QueueOptions): Queue {
  const jobsUrl = `${baseUrl('url', url)}/jobs`
  const headers = bearer(apiKey)
  return {
    async enqueue(queue, data, options = {}) {
      const body = toJson({ namespace, queue, data, ...optionFields(options) })
      return tracedSend(
        () => ({ operation: 'enqueue', destination: `${namespace}/${queue}` }),
        async (carrier) => {
          const request = { method: 'POST' as const, url: jobsUrl, headers: { ...headers, ...carrier }, body }
          const answer = await requestJson({ ...request, timeoutMs: requestTimeoutMs })
          return parseEnqueued(answer.body, answer.status)
        },
        ({ id }) => ({ 'messaging.message.id': id }),
      )
    },
  }
}

/** Named one by one: an unknown field is an error on the wire, and a stray property of the caller's must not become one. */
function optionFields(options: EnqueueOptions): Record<string, unknown> {
  const { delayMs, priority, idempotencyKey, retries, timeoutMs } = options
  const runAt = toTime('runAt', options.runAt)
  const expiresAt = toTime('expiresAt', options.expiresAt)
  return { delayMs, runAt, priority, idempotencyKey, expiresAt, retries, timeoutMs }
}

function parseEnqueued(body: unknown, status: number): Enqueued {
  const { id, durability = 'unknown', replicas } = (body ?? {}) as Partial<Enqueued>
  if (typeof id === 'string') return { id, durability, ...(replicas !== undefined && { replicas }) }
  throw new MillraceError(`The dispatcher answered ${status} without a job id`, { code: 'sdk.bad_answer', status })
}

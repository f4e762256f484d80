import { CLOUD_EVENT_TYPE, parseId, type QueueDefinition } from '@millrace/contracts'
import { headerLine, sendable } from './header-line.ts'
import type { SignedContent } from './signature.ts'

/** The parts of a claimed job that its request is made of. */
export interface DeliveryInput {
  readonly id: string
  readonly attempt: number
  readonly epoch: number
  readonly data: string
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  /** By which the worker proves that it speaks of this attempt, should it take the job over. */
  readonly token: string
  /** The replay that brings an event again, where one does. */
  readonly replay?: string | undefined
}

export interface DeliveryRequest extends SignedContent {
  /**
   * The headers as they are written, each a line with its end, and no value that would make two of it. They are text from the
   * start: a record of them that is turned into text later costs half as much again, with each job.
   */
  readonly lines: string
}

/**
 * The request of one attempt, but for its signature. The body of a queue is `{jobId, queue, attempt, data}`, that of a
 * schedule the tick with its attempt, that of a subscription the CloudEvent; `data` goes in as the text it came as.
 *
 * @throws TypeError when a value cannot be sent in a header
 */
export function buildDelivery(
  job: DeliveryInput,
  {
    definition,
    maxAttempts,
    timeoutMs,
    nowMs,
  }: { definition: QueueDefinition; maxAttempts: number; timeoutMs: number; nowMs: number },
): DeliveryRequest {
  const { type, body, more } = contentOf(job, definition)
  const timestamp = String(Math.floor(nowMs / 1000))
  const id = sendable('webhook-id', job.id)
  // All values are checked but those that are made on the spot, each by itself: once a value with a line of its own is among the
  // others, nobody can tell. A check of the whole text takes longer, too, and most of it is our own.
  const lines =
    `content-type: ${type}\r\nwebhook-id: ${id}\r\nwebhook-timestamp: ${timestamp}\r\nidempotency-key: ${id}\r\n` +
    `traceparent: ${job.traceparent === undefined ? traceparentOf(job) : sendable('traceparent', job.traceparent)}\r\n` +
    `${headerLine('tracestate', job.tracestate)}x-attempt: ${sendable('x-attempt', job.attempt)}\r\n` +
    `x-max-attempts: ${sendable('x-max-attempts', maxAttempts)}\r\nx-deadline-ms: ${sendable('x-deadline-ms', timeoutMs)}\r\n` +
    `x-job-epoch: ${sendable('x-job-epoch', job.epoch)}\r\nx-job-token: ${job.token}\r\n${more}`
  return { id, timestamp, lines, body }
}

/** What the kinds of queues differ in. */
interface Content {
  readonly type: string
  readonly body: string
  /** Further headers, as lines. */
  readonly more: string
}

function contentOf(job: DeliveryInput, { kind, name }: QueueDefinition): Content {
  if (kind === 'schedule') return tickContent(job)
  if (kind === 'subscription') {
    const more = `${headerLine('x-subscription', name)}${headerLine('x-replay', job.replay)}`
    // Without a charset: JSON is UTF-8 by itself, and clients compare the whole text.
    return { type: CLOUD_EVENT_TYPE, body: job.data, more }
  }
  // Neither an id nor a name has a character that JSON escapes.
  const body = `{"jobId":"${job.id}","queue":"${name}","attempt":${job.attempt},"data":${job.data}}`
  return { type: 'application/json', body, more: '' }
}

/**
 * A tick's data is an object that we wrote ourselves, so more can be put before its closing brace: the attempt, and when the
 * tick fired, which is when its job's id was made.
 */
function tickContent({ id, data, attempt }: DeliveryInput): Content {
  const tick = JSON.parse(data) as Tick
  const firedAt = tick.firedAt ?? timeOf(id)
  const added = tick.firedAt === undefined ? `"firedAt":"${firedAt}",` : ''
  return {
    type: 'application/json',
    body: `${data.slice(0, -1)},${added}"attempt":${attempt}}`,
    more:
      headerLine('x-schedule-name', tick.schedule) +
      headerLine('x-cron-expression', tick.cron) +
      headerLine('x-fired-at', firedAt),
  }
}

interface Tick {
  readonly schedule: string
  readonly cron: string
  /** In the data itself only where an earlier version wrote it. */
  readonly firedAt?: string
}

function timeOf(id: string): string {
  return new Date(parseId(id)?.ms ?? 0).toISOString()
}

/**
 * A trace for a job whose producer sent none: the trace id is made of the job's id, so all its attempts and log lines
 * share one, and nothing has to be stored. Sampled, as a worker that starts its own trace would be by default.
 */
export function traceparentOf({ id, epoch }: { id: string; epoch: number }): string {
  return `00-${traceIdOf(id)}-${PARENTS[epoch] ?? parentOf(epoch)}-01`
}

const parentOf = (epoch: number) => epoch.toString(16).padStart(16, '0')
/** Nearly every delivery is one of the first few of its job. */
const PARENTS: readonly string[] = Array.from({ length: 16 }, (_, epoch) => parentOf(epoch))

export function traceIdOf(jobId: string): string {
  // 19 hex digits of the id, which are never all zero: they begin with the time.
  const digits = jobId.slice(jobId.indexOf('_') + 1)
  return digits.length === 19 ? `0000000000000${digits}` : digits.padStart(32, '0')
}

/** The trace id inside a `traceparent`, for logs. */
export function traceIdIn(traceparent: string): string {
  return traceparent.split('-')[1] ?? ''
}

/**
 * The trace inside a `traceparent` whose producer records it, undefined where nobody does: what an exemplar may point to,
 * since a trace that nobody records cannot be looked at.
 */
export function sampledTraceIdIn(traceparent: string | undefined): string | undefined {
  if (traceparent === undefined) return undefined
  // The lowest bit of the last two digits says sampled (W3C Trace Context, section 3.2.2.5).
  return Number.parseInt(traceparent.slice(-1), 16) % 2 === 1 ? traceIdIn(traceparent) : undefined
}

const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** W3C trace context as a producer sent it, undefined when it is not valid: a bad one must not reach the worker. */
export function validTraceparent(value: string | undefined): string | undefined {
  return value !== undefined && TRACEPARENT.test(value) && !value.startsWith('ff') ? value : undefined
}

/** W3C section 3.3.1.5: at least so much of a `tracestate` is passed on. */
const MAX_TRACESTATE = 512

/** The trace context that a sender brought, empty when there is no valid one. A `tracestate` means nothing without it. */
export function traceOf(headers: {
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
}): {
  traceparent?: string
  tracestate?: string
} {
  const traceparent = validTraceparent(headers.traceparent)
  if (traceparent === undefined) return {}
  const { tracestate = '' } = headers
  const isKept = tracestate !== '' && tracestate.length <= MAX_TRACESTATE && /^[\x20-\x7e]+$/.test(tracestate)
  return { traceparent, ...(isKept && { tracestate }) }
}

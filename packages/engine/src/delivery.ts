import { CLOUD_EVENT_TYPE, parseId, type QueueDefinition } from '@millrace/contracts'

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

export interface DeliveryRequest {
  readonly headers: Record<string, string>
  readonly body: string
}

/**
 * The request of one attempt. The body of a queue is `{jobId, queue, attempt, data}`, that of a schedule the tick with
 * its attempt, that of a subscription the CloudEvent; `data` goes in as the text it came as.
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
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'webhook-id': job.id,
    'webhook-timestamp': String(Math.floor(nowMs / 1000)),
    'idempotency-key': job.id,
    traceparent: job.traceparent ?? traceparentOf(job),
    ...(job.tracestate !== undefined && { tracestate: job.tracestate }),
    'x-attempt': String(job.attempt),
    'x-max-attempts': String(maxAttempts),
    'x-deadline-ms': String(timeoutMs),
    'x-job-epoch': String(job.epoch),
    'x-job-token': job.token,
  }
  if (definition.kind === 'schedule') return tickDelivery(job, headers)
  if (definition.kind === 'subscription')
    return { headers: { ...headers, ...eventHeaders(job, definition) }, body: job.data }
  return {
    headers,
    body: `{"jobId":"${job.id}","queue":${JSON.stringify(definition.name)},"attempt":${job.attempt},"data":${job.data}}`,
  }
}

function eventHeaders({ replay }: DeliveryInput, { name }: QueueDefinition): Record<string, string> {
  return {
    // Without a charset: JSON is UTF-8 by itself, and clients compare the whole text.
    'content-type': CLOUD_EVENT_TYPE,
    'x-subscription': name,
    ...(replay !== undefined && { 'x-replay': replay }),
  }
}

/**
 * A tick's data is an object that we wrote ourselves, so more can be put before its closing brace: the attempt, and when the
 * tick fired, which is when its job's id was made.
 */
function tickDelivery({ id, data, attempt }: DeliveryInput, headers: Record<string, string>): DeliveryRequest {
  const tick = JSON.parse(data) as Tick
  const firedAt = tick.firedAt ?? timeOf(id)
  const added = tick.firedAt === undefined ? `"firedAt":"${firedAt}",` : ''
  return {
    headers: { ...headers, 'x-schedule-name': tick.schedule, 'x-cron-expression': tick.cron, 'x-fired-at': firedAt },
    body: `${data.slice(0, -1)},${added}"attempt":${attempt}}`,
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

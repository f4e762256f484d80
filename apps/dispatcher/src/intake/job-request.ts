import { createHash } from 'node:crypto'
import {
  type EnqueueRequest,
  enqueueRequestSchema,
  fieldErrors,
  idempotencyKeySchema,
  ProblemError,
  type QueueDefinition,
  queueAddress,
} from '@millrace/contracts'
import { rawMember, traceOf } from '@millrace/engine'
import { fullAddress, type JobMeta, type NewJob, type Unique } from '@millrace/streams'

/** What of a request's headers concerns its job. */
export interface RequestHeaders {
  readonly idempotencyKey?: string
  readonly traceparent?: string
  readonly tracestate?: string
}

export interface RequestContext {
  readonly headers: RequestHeaders
  readonly definition: QueueDefinition
  readonly maxBytes: number
  readonly nowMs: number
}

/** Parse one job of a batch; throws the problem that its result will carry. */
export function parseJob(value: unknown): EnqueueRequest {
  const parsed = enqueueRequestSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const errors = fieldErrors(parsed.error)
  throw new ProblemError('request.invalid', `${errors[0]?.pointer || 'the job'} ${errors[0]?.detail}.`, { errors })
}

/**
 * The job that a request asks for. `text` is the request as it came: the payload is cut out of it byte for byte, and
 * its hash tells whether an idempotency key is used again for the same thing.
 */
export function toNewJob(request: EnqueueRequest, text: string, context: RequestContext): NewJob {
  checkMeaning(request, context.definition)
  const data = rawMember(text, 'data') as string
  checkSize(data, context.maxBytes)
  const key = idempotencyKey(request, context)
  const unique = uniqueOf(request, data)
  // What is missing stands there as undefined, here and in `metaOf`: a spread for each part that may be missing takes longer.
  return {
    address: fullAddress(request.namespace, queueAddress('queue', request.queue)),
    lane: request.priority ?? 'normal',
    data,
    due: dueOf(request, context.nowMs),
    idempotency: key === undefined ? undefined : { key, fingerprint: fingerprint(text) },
    unique,
    meta: metaOf(request, context, unique),
  }
}

function checkSize(data: string, maxBytes: number): void {
  // A character is three bytes of UTF-8 at most, so most payloads need not be counted.
  if (data.length <= maxBytes / 3) return
  const size = Buffer.byteLength(data)
  if (size <= maxBytes) return
  throw new ProblemError(
    'request.too_large',
    `The payload has ${size} bytes, the limit is ${maxBytes}. Store it elsewhere and send a reference.`,
  )
}

/** Without a key of its own, the payload is what must be unique. */
function uniqueOf({ unique }: EnqueueRequest, data: string): Unique | undefined {
  if (!unique) return undefined
  const { key = fingerprint(data), mode, periodMs, maxWaitMs } = unique
  return { key, mode, ...(periodMs !== undefined && { periodMs }), ...(maxWaitMs !== undefined && { maxWaitMs }) }
}

/**
 * A key stands in a line of its own; a queue without lines has no use for it, and one with lines none for lanes. A batch
 * has one time limit for all its jobs.
 */
function checkMeaning(request: EnqueueRequest, { keyConcurrency, batch }: QueueDefinition): void {
  const refuse = (pointer: string, detail: string) =>
    new ProblemError('request.invalid', `${pointer.slice(1)} ${detail}.`, { errors: [{ pointer, detail }] })
  if (request.key !== undefined && keyConcurrency === undefined)
    throw refuse('/key', `means nothing in "${request.queue}", which declares no keyConcurrency`)
  if (request.priority !== undefined && keyConcurrency !== undefined)
    throw refuse('/priority', `means nothing in "${request.queue}", which serves its keys in turn (keyConcurrency)`)
  if (request.timeoutMs !== undefined && batch !== undefined)
    throw refuse('/timeoutMs', `means nothing in "${request.queue}", whose batches have the timeoutMs of the queue`)
  if (request.unique?.mode === 'debounce' && (request.runAt !== undefined || request.delayMs !== undefined))
    throw refuse('/unique', 'with debounce says when the job starts, so runAt and delayMs cannot')
}

/** The key from the body or the header; a structured-field string in quotes is the same as without them. */
function idempotencyKey(request: EnqueueRequest, { headers }: RequestContext): string | undefined {
  const header = headers.idempotencyKey?.replace(/^"(.*)"$/, '$1')
  if (header === undefined) return request.idempotencyKey
  if (!idempotencyKeySchema.safeParse(header).success) {
    throw new ProblemError('request.invalid', 'The Idempotency-Key header must have 1 to 255 characters.')
  }
  if (request.idempotencyKey !== undefined && request.idempotencyKey !== header) {
    throw new ProblemError(
      'request.invalid',
      'The Idempotency-Key header and idempotencyKey in the body differ: send one of them.',
    )
  }
  return header
}

function dueOf({ runAt, delayMs }: EnqueueRequest, nowMs: number): NewJob['due'] {
  if (runAt !== undefined && delayMs !== undefined) {
    throw new ProblemError('request.invalid', 'runAt and delayMs say the same thing: send one of them.', {
      errors: [{ pointer: '/delayMs', detail: 'must not be sent together with runAt' }],
    })
  }
  if (delayMs !== undefined) return delayMs === 0 ? undefined : { inMs: delayMs }
  if (runAt === undefined) return undefined
  const atMs = Date.parse(runAt)
  return atMs <= nowMs ? undefined : { atMs }
}

function metaOf(
  { retries, timeoutMs, retryDelayMs, backoff, expiresAt, key }: EnqueueRequest,
  { headers }: RequestContext,
  unique: Unique | undefined,
): JobMeta | undefined {
  const { traceparent, tracestate } = traceOf(headers)
  const meta: JobMeta = {
    retries,
    timeoutMs,
    retryDelayMs,
    backoff,
    expiresAtMs: expiresAt === undefined ? undefined : Date.parse(expiresAt),
    traceparent,
    tracestate,
    key,
    unique: unique && { key: unique.key, mode: unique.mode },
  }
  for (const name in meta) if (meta[name as keyof JobMeta] !== undefined) return meta
  return undefined
}

function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

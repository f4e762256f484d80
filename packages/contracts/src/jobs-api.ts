import { z } from 'zod'
import { nameSchema, namespaceSchema } from './names.ts'

export const LANES = ['high', 'normal', 'low'] as const
export type Lane = (typeof LANES)[number]

/** Delays of up to ten years: a longer one is a unit mistake (seconds or microseconds for milliseconds). */
export const MAX_DELAY_MS = 10 * 365 * 86_400_000

/** RFC 3339 with an offset or Z. */
export const timeSchema = z.iso.datetime({ offset: true })

export const idempotencyKeySchema = z.string().min(1).max(255)

/** `POST /jobs`. `data` is any JSON value; it is kept and delivered byte for byte. */
export const enqueueRequestSchema = z.strictObject({
  namespace: namespaceSchema,
  queue: nameSchema,
  data: z.unknown().refine((value) => value !== undefined, 'is required (any JSON value, null included)'),
  runAt: timeSchema.optional().describe('not before this time; a past time means now'),
  delayMs: z.int().min(0).max(MAX_DELAY_MS).optional().describe('the same as a duration from now'),
  priority: z.enum(LANES).optional().describe('lane: high, normal (default) or low'),
  idempotencyKey: idempotencyKeySchema.optional().describe('the same key within 24 h gives the same job'),
  expiresAt: timeSchema.optional().describe('not started by then: expired, not failed'),
  retries: z.int().min(0).max(1000).optional().describe("instead of the queue's"),
  timeoutMs: z.int().min(1).max(86_400_000).optional().describe("instead of the queue's"),
})
export type EnqueueRequest = z.infer<typeof enqueueRequestSchema>

export const DURABILITIES = ['fsync', 'fsync-each-second', 'memory', 'unknown'] as const
export type Durability = (typeof DURABILITIES)[number]

export const enqueueResponseSchema = z.object({
  id: z.string(),
  durability: z.enum(DURABILITIES).describe('what the accepting Redis had done with the job when it answered'),
})

export const MAX_BATCH_JOBS = 1000

export const batchRequestSchema = z.strictObject({
  jobs: z.array(z.unknown()).min(1).max(MAX_BATCH_JOBS),
})

/** What an attempt came to, as the log, the API and the metrics say it. */
export const FAILURE_REASONS = [
  'http_status',
  'redirect',
  'timeout',
  'connection_refused',
  'connection_reset',
  'dns',
  'tls',
  'bad_response',
  'incomplete_response',
  'no_retry',
  'crash_loop',
  'no_service_url',
  'network',
] as const
export type FailureReason = (typeof FAILURE_REASONS)[number]

export const lastResponseSchema = z.object({
  status: z.int().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.string().optional().describe('the first 4 KiB, as text'),
  error: z.string().optional(),
})
export type LastResponse = z.infer<typeof lastResponseSchema>

export const deadLetterSchema = z.object({
  id: z.string(),
  namespace: z.string(),
  queue: z.string(),
  reason: z.string(),
  attempts: z.int(),
  enqueuedAt: z.iso.datetime(),
  diedAt: z.iso.datetime(),
  data: z.unknown(),
  lastResponse: lastResponseSchema,
})
export type DeadLetter = z.infer<typeof deadLetterSchema>

export const redriveRequestSchema = z.strictObject({
  filter: z.strictObject({
    namespace: namespaceSchema,
    queue: z.string().min(1).max(80),
    ids: z.array(z.string()).min(1).max(1000).optional().describe('these jobs only; without it the whole queue'),
  }),
  limit: z.int().min(1).max(1_000_000).optional(),
  who: z.string().min(1).max(200).optional(),
  why: z.string().min(1).max(1000).optional(),
})
export type RedriveRequest = z.infer<typeof redriveRequestSchema>

/** The state a queue is in now. accepted = succeeded + dead + cancelled + expired + waiting + scheduled + running. */
export const queueCountsSchema = z.object({
  namespace: z.string(),
  queue: z.string(),
  kind: z.string(),
  waiting: z.int(),
  scheduled: z.int(),
  running: z.int(),
  accepted: z.int(),
  succeeded: z.int(),
  dead: z.int(),
  cancelled: z.int(),
  expired: z.int(),
  oldestWaitingAt: z.iso.datetime().optional(),
  concurrency: z.int(),
  closing: z.boolean(),
})
export type QueueCounts = z.infer<typeof queueCountsSchema>

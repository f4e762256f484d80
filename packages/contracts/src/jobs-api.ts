import { z } from 'zod'
import { bySchema, destructiveBySchema } from './by.ts'
import { DELIVERY_LIMITS, STORE_LIMITS } from './limits.ts'
import { nameSchema, namespaceSchema } from './names.ts'
import { backoffSchema } from './service.ts'

export const LANES = ['high', 'normal', 'low'] as const
export type Lane = (typeof LANES)[number]

/** Delays of up to ten years: a longer one is a unit mistake (seconds or microseconds for milliseconds). */
export const MAX_DELAY_MS = 10 * 365 * 86_400_000

/** RFC 3339 with an offset or Z. */
export const timeSchema = z.iso.datetime({
  offset: true,
  error: 'must be a time with an offset or Z, such as 2026-01-31T12:00:00Z',
})

export const idempotencyKeySchema = z.string().min(1).max(255)

export const UNIQUE_MODES = ['until_started', 'until_finished', 'throttle', 'debounce'] as const
export type UniqueMode = (typeof UNIQUE_MODES)[number]

/** One job at a time for a business key; what `unique` in `POST /jobs` may say. */
export const uniqueSchema = z
  .strictObject({
    mode: z.enum(UNIQUE_MODES),
    key: z.string().min(1).max(255).optional().describe('without it the payload is the key'),
    periodMs: z
      .int()
      .min(1)
      .max(MAX_DELAY_MS)
      .optional()
      .describe('throttle: one job per period; debounce: how long to wait for a newer one'),
    maxWaitMs: z
      .int()
      .min(1)
      .max(MAX_DELAY_MS)
      .optional()
      .describe('debounce: started after so long even when newer ones keep coming'),
  })
  .check(({ value, issues }) => {
    const timed = value.mode === 'throttle' || value.mode === 'debounce'
    if (timed && value.periodMs === undefined)
      issues.push({ code: 'custom', input: value, path: ['periodMs'], message: `is required with ${value.mode}` })
    if (!timed && value.periodMs !== undefined)
      issues.push({ code: 'custom', input: value, path: ['periodMs'], message: `has no meaning with ${value.mode}` })
    if (value.mode !== 'debounce' && value.maxWaitMs !== undefined)
      issues.push({ code: 'custom', input: value, path: ['maxWaitMs'], message: 'has a meaning with debounce only' })
  })

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
  retries: z.int().min(0).max(DELIVERY_LIMITS.retries.value).optional().describe("instead of the queue's"),
  timeoutMs: z.int().min(1).max(DELIVERY_LIMITS.timeoutMs.value).optional().describe("instead of the queue's"),
  retryDelayMs: z.int().min(0).max(86_400_000).optional().describe("instead of the queue's"),
  backoff: backoffSchema
    .refine(
      ({ type, delaysMs }) => (type === 'list') === (delaysMs !== undefined),
      'type list and delaysMs go together',
    )
    .optional()
    .describe("instead of the queue's"),
  key: z.string().min(1).max(255).optional().describe('whose job it is, where the queue limits keys'),
  unique: uniqueSchema.optional(),
})
export type EnqueueRequest = z.infer<typeof enqueueRequestSchema>

export const DURABILITIES = ['fsync', 'everysec', 'memory', 'unknown'] as const
export type Durability = (typeof DURABILITIES)[number]

/** What every answer says that accepted something: how safe it is, by the server's own settings. */
export const durabilityFields = {
  durability: z
    .enum(DURABILITIES)
    .describe(
      'what the accepting Redis had done with it: fsync, on its disk; everysec, on its disk within a second; memory; unknown, where it does not tell',
    ),
  replicas: z
    .int()
    .optional()
    .describe('how many replicas Redis passes it on to, without waiting for them; missing where it is not known'),
}
export interface StatedDurability {
  readonly durability: Durability
  readonly replicas?: number
}

export const enqueueResponseSchema = z.object({
  id: z.string(),
  ...durabilityFields,
  deduplicated: z.enum(['idempotency_key', 'unique', 'debounced']).optional().describe('why no new job was made'),
})

export const MAX_BATCH_JOBS = STORE_LIMITS.batchJobs.value

export const batchRequestSchema = z.strictObject({
  jobs: z.array(z.unknown()).min(1).max(MAX_BATCH_JOBS),
  atomic: z
    .boolean()
    .optional()
    .describe('all of a partition or, when one is refused, none; without it each for itself'),
})

/** What an attempt came to, as the log, the API and the metrics say it. */
export const FAILURE_REASONS = [
  'http_status',
  'redirect',
  'timeout',
  'connection_refused',
  'connection_reset',
  'dns',
  'target_refused',
  'tls',
  'bad_response',
  'incomplete_response',
  'no_retry',
  'crash_loop',
  'network',
  'cancelled',
  'worker_failed',
  'no_result',
  'not_begun',
] as const
export type FailureReason = (typeof FAILURE_REASONS)[number]

export const lastResponseSchema = z.object({
  status: z.int().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.string().optional().describe('the first 4 KiB, as text'),
  error: z.string().optional(),
})
export type LastResponse = z.infer<typeof lastResponseSchema>

/** `POST /jobs/{id}/progress`: how far a job is, for people. */
export const progressSchema = z
  .strictObject({
    process: z.string().min(1).max(200).optional().describe('groups what belongs to one progress item'),
    title: z.string().min(1).max(500),
    total: z.number().min(0),
    progress: z.number().min(0).describe('of the total'),
    statusMessage: z.string().max(2000).optional(),
    userId: z.string().min(1).max(200).optional().describe('whom it is to be shown to'),
  })
  .refine(({ total, progress }) => progress <= total, { path: ['progress'], error: 'must not be more than total' })
export type JobProgress = z.infer<typeof progressSchema>

/** By which a worker proves that it was given an attempt. */
export const jobTokenSchema = z
  .string()
  .min(1)
  .max(100)
  .describe('x-job-token of the delivery that was answered with 202')

/** `POST /jobs/{id}/progress`. A worker that holds the job under a lease says its token; one whose request is open need not. */
export const progressRequestSchema = progressSchema.safeExtend({ token: jobTokenSchema.optional() })

/** `POST /jobs/{id}/cancel`: what was accepted will not be done. */
export const cancelRequestSchema = z.strictObject(destructiveBySchema)

/** `POST /queues/{ns}/{name}/drain`: every producer that is turned away is told who did it and why. */
export const drainRequestSchema = z.strictObject(destructiveBySchema)

/** `POST /queues/{ns}/{name}/pause|resume`: the queue, or one of its keys. */
export const pauseRequestSchema = z.strictObject({ key: z.string().min(1).max(255).optional(), ...bySchema })

/** `POST /queues/{ns}/{name}/purge`: without a token it counts and gives one; with it, it needs a reason. */
export const purgeRequestSchema = z
  .strictObject({ token: z.string().min(1).max(100).optional(), ...bySchema })
  .refine(({ token, why }) => token === undefined || why !== undefined, {
    path: ['why'],
    error: 'must say why, for the audit trail',
  })

/** `POST /jobs/{id}/reschedule`. */
export const rescheduleRequestSchema = z
  .strictObject({ runAt: timeSchema.optional(), delayMs: z.int().min(0).max(MAX_DELAY_MS).optional(), ...bySchema })
  .refine(({ runAt, delayMs }) => (runAt === undefined) !== (delayMs === undefined), 'say either runAt or delayMs')

export const pausedSchema = z.object({ who: z.string(), why: z.string().optional(), at: z.iso.datetime() })

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
  discarded: z.int().describe('of the dead: letters removed for good'),
  oldestWaitingAt: z.iso.datetime().optional(),
  concurrency: z.int(),
  closing: z.boolean(),
  paused: pausedSchema.optional(),
  draining: pausedSchema.optional().describe('it takes no new jobs until it is resumed'),
})
export type QueueCounts = z.infer<typeof queueCountsSchema>

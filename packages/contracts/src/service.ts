import { z } from 'zod'
import { DELIVERY_LIMITS } from './limits.ts'
import { nameSchema, namespaceSchema, QUEUE_KINDS } from './names.ts'
import { scheduleDefinitionSchema, scheduleFields } from './schedule-fields.ts'
import { declaredEventSchema, subscriptionFields, subscriptionSourceSchema } from './subscription.ts'

/** How the wait before a retry grows. Delay before retry n: `retryDelayMs × factor^(n−1)`, capped, with jitter. */
export const backoffSchema = z.strictObject({
  type: z.enum(['exponential', 'linear', 'fixed', 'list']).default('exponential'),
  delaysMs: z
    .array(z.int().min(0).max(86_400_000))
    .min(1)
    .max(100)
    .optional()
    .describe('list only: the wait before each retry; the last one repeats'),
  factor: z.number().min(1).max(10).default(2).describe('exponential only: what each delay is multiplied by'),
  maxDelayMs: z.int().min(0).max(86_400_000).default(900_000),
  jitter: z.number().min(0).max(1).default(0.2).describe('a delay d becomes a random one in [d × (1 − jitter), d]'),
})
export type Backoff = z.infer<typeof backoffSchema>

/** A path without its query, as a server reads it that undoes the escapes of dots and slashes before it looks for segments. */
const unescaped = (path: string) => (path.split('?')[0] ?? '').replace(/%2e/gi, '.').replace(/%2f|%5c/gi, '/')

/** A header value may hold visible ASCII only, and the path must stay below /internal/ after normalisation. */
export const endpointSchema = z
  .string()
  .max(512)
  .regex(/^\/[\x21-\x7e]*$/, 'must be an absolute path such as /internal/jobs/sync-record')
  .refine((path) => !path.startsWith('//') && !/[#\\]/.test(path) && !/(^|\/)\.\.?(\/|$)/.test(unescaped(path)), {
    message: 'must be a plain path: no host, no fragment, no backslash, no . or .. segments, escaped ones included',
  })

/** What to do with an answer, instead of the rule that 2xx completes and all else is retried. */
export const STATUS_ACTIONS = ['complete', 'retry', 'postpone', 'dead', 'pause'] as const
export type StatusAction = (typeof STATUS_ACTIONS)[number]

/**
 * The response policy table: `{"409": complete, "422": dead, "429": postpone, "503": pause, "5xx": retry, network: retry}`.
 * A status stands before its class (4xx); `timeout` and `network` are requests that got no answer. `postpone` is a retry
 * that does not count, `pause` postpones the job and pauses the queue.
 */
export const onStatusSchema = z.record(
  z
    .string()
    .regex(
      /^([1-5]\d\d|[1-5]xx|timeout|network)(,([1-5]\d\d|[1-5]xx|timeout|network))*$/,
      'must be a status such as 409, a class such as 5xx, timeout or network, or several with commas',
    ),
  z.enum(STATUS_ACTIONS),
)
export type OnStatus = z.infer<typeof onStatusSchema>

/** So many starts in a period, with room for a burst. */
export const rateLimitSchema = z.strictObject({
  limit: z.int().min(1).max(1_000_000),
  periodMs: z.int().min(1).max(86_400_000).default(1000),
  burst: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('starts at once after a pause; as many as the limit without it'),
})
export type RateLimit = z.infer<typeof rateLimitSchema>

/** Several jobs in one request. */
export const batchSchema = z.strictObject({
  maxSize: z.int().min(2).max(1000).describe('jobs in one request at most'),
  maxWaitMs: z.int().min(0).max(60_000).default(1000).describe('how long the first job waits for others'),
})
export type BatchSettings = z.infer<typeof batchSchema>
/** Who fetches whom: a dispatcher sends each job to the endpoint, or consumers in the service take it out of Redis. */
export const DELIVERIES = ['push', 'pull'] as const

const destination = {
  endpoint: endpointSchema.optional(),
  delivery: z.enum(DELIVERIES).optional().describe('push, unless told, sends each job to the endpoint; pull has none'),
}

const delivery = {
  retries: z.int().min(0).max(DELIVERY_LIMITS.retries.value).default(3),
  retryDelayMs: z.int().min(0).max(86_400_000).default(5000),
  timeoutMs: z.int().min(1).max(DELIVERY_LIMITS.timeoutMs.value).default(30_000),
  backoff: backoffSchema.prefault({}),
  onStatus: onStatusSchema.optional(),
  rateLimit: rateLimitSchema.optional(),
}

const keyed = {
  keyConcurrency: z
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe('jobs of one key that may run at once; 1 serves each key in order'),
  keyRateLimit: rateLimitSchema.optional(),
  onDead: z
    .enum(['skip', 'block'])
    .optional()
    .describe('with keyConcurrency 1: whether a dead letter lets the next job of its key go on (skip) or not'),
}

const ofQueues = { batch: batchSchema.optional(), ...keyed }

/** `schedule:nightly` is the address of a schedule's ticks, and the key `nightly:x` of a queue `schedule` would be taken for its. */
const queueNameSchema = nameSchema.refine(
  (name) => !(QUEUE_KINDS as readonly string[]).includes(name) || name === 'queue',
  'is a word that addresses of schedules and subscriptions begin with: choose another',
)

/** `spec.queues[]`: the seeds' fields with the seeds' defaults, and `backoff`, which is ours. */
export const manifestQueueSchema = z.strictObject({
  name: queueNameSchema,
  ...destination,
  ...delivery,
  ...ofQueues,
  concurrency: z.int().min(1).max(DELIVERY_LIMITS.concurrency.value).default(5),
  description: z.string().max(1000).optional(),
})

export type ManifestQueue = z.infer<typeof manifestQueueSchema>

/** `spec.schedules[]`. A tick is delivered as a job, so it has a queue's retry fields as well. */
export const manifestScheduleSchema = z.strictObject({
  name: nameSchema,
  cron: z.string().max(200).optional().describe('or at'),
  timezone: z.string().max(64).default('UTC'),
  ...scheduleFields,
  endpoint: endpointSchema,
  ...delivery,
  description: z.string().max(1000).optional(),
})
export type ManifestSchedule = z.infer<typeof manifestScheduleSchema>

/**
 * `spec.subscriptions[]`: which events, and the delivery fields of a queue, all but `batch`. Without `retries` and `backoff` the
 * waits are those of Standard Webhooks: at once, then after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h.
 */
export const manifestSubscriptionSchema = z.strictObject({
  name: nameSchema,
  ...subscriptionFields,
  ...destination,
  ...delivery,
  ...keyed,
  retries: delivery.retries.removeDefault().optional(),
  retryDelayMs: delivery.retryDelayMs.removeDefault().optional(),
  backoff: backoffSchema.optional(),
  concurrency: z.int().min(1).max(DELIVERY_LIMITS.concurrency.value).default(5),
  description: z.string().max(1000).optional(),
})
export type ManifestSubscription = z.infer<typeof manifestSubscriptionSchema>

/** What the delivery engine knows of a queue, whatever declared it. */
export const queueDefinitionSchema = z.strictObject({
  kind: z.enum(QUEUE_KINDS),
  name: nameSchema,
  concurrency: z.int(),
  description: z.string().optional(),
  delivery: z.enum(DELIVERIES).optional(),
  endpoint: endpointSchema.optional().describe('of every queue but those that are pulled'),
  ...delivery,
  ...ofQueues,
  schedule: scheduleDefinitionSchema.optional(),
  subscription: subscriptionSourceSchema.optional(),
  sink: z.string().optional().describe('the whole address to deliver to, instead of an endpoint of the service'),
})
export type QueueDefinition = z.infer<typeof queueDefinitionSchema>

/** A service as the registry keeps it: the manifest boiled down to what the apps need, and the manifest itself. */
export const serviceSchema = z.strictObject({
  namespace: namespaceSchema,
  url: z.string(),
  version: z.int().min(1).describe('rises by one with each applied change'),
  appliedAt: z.iso.datetime(),
  appliedBy: z.string(),
  queues: z.array(queueDefinitionSchema),
  subscriptions: z
    .array(queueDefinitionSchema)
    .optional()
    .describe('subscriptions that were made through the API; the manifest does not know of them'),
  events: z.array(declaredEventSchema).optional().describe('what the service publishes'),
  closing: z.array(queueDefinitionSchema).describe('no longer declared: drained, then closed; intake refuses them'),
  manifest: z.record(z.string(), z.unknown()),
})
export type Service = z.infer<typeof serviceSchema>

/** Ticks of one schedule may overlap (the seeds' handlers answer at once), up to this many deliveries in flight. */
export const SCHEDULE_CONCURRENCY = 5

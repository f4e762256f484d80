import { z } from 'zod'
import { nameSchema, namespaceSchema, QUEUE_KINDS } from './names.ts'

/** How the wait before a retry grows. Delay before retry n: `retryDelayMs × factor^(n−1)`, capped, with jitter. */
export const backoffSchema = z.strictObject({
  type: z.enum(['exponential', 'linear', 'fixed']).default('exponential'),
  factor: z.number().min(1).max(10).default(2).describe('exponential only: what each delay is multiplied by'),
  maxDelayMs: z.int().min(0).max(86_400_000).default(900_000),
  jitter: z.number().min(0).max(1).default(0.2).describe('a delay d becomes a random one in [d × (1 − jitter), d]'),
})
export type Backoff = z.infer<typeof backoffSchema>

/** A header value may hold visible ASCII only, and the path must stay below /internal/ after normalisation. */
export const endpointSchema = z
  .string()
  .max(512)
  .regex(/^\/[\x21-\x7e]*$/, 'must be an absolute path such as /internal/jobs/sync-record')
  .refine(
    (path) => !path.startsWith('//') && !/[#\\]/.test(path) && !/(^|\/)\.\.?(\/|$)/.test(path.split('?')[0] ?? ''),
    {
      message: 'must be a plain path: no host, no fragment, no backslash, no . or .. segments',
    },
  )

const delivery = {
  endpoint: endpointSchema,
  retries: z.int().min(0).max(1000).default(3),
  retryDelayMs: z.int().min(0).max(86_400_000).default(5000),
  timeoutMs: z.int().min(1).max(86_400_000).default(30_000),
  backoff: backoffSchema.prefault({}),
}

/** `spec.queues[]`: the seeds' fields with the seeds' defaults, and `backoff`, which is ours. */
export const manifestQueueSchema = z.strictObject({
  name: nameSchema,
  ...delivery,
  concurrency: z.int().min(1).max(10_000).default(5),
  description: z.string().max(1000).optional(),
})

/** `spec.schedules[]`. A tick is delivered as a job, so it has a queue's retry fields as well. */
export const manifestScheduleSchema = z.strictObject({
  name: nameSchema,
  cron: z.string().max(200),
  timezone: z.string().max(64).default('UTC'),
  ...delivery,
  description: z.string().max(1000).optional(),
})
export type ManifestSchedule = z.infer<typeof manifestScheduleSchema>

/** What the delivery engine knows of a queue, whatever declared it. */
export const queueDefinitionSchema = z.strictObject({
  kind: z.enum(QUEUE_KINDS),
  name: nameSchema,
  concurrency: z.int(),
  description: z.string().optional(),
  ...delivery,
  schedule: z.strictObject({ cron: z.string(), timezone: z.string() }).optional(),
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
  closing: z.array(queueDefinitionSchema).describe('no longer declared: drained, then closed; intake refuses them'),
  manifest: z.record(z.string(), z.unknown()),
})
export type Service = z.infer<typeof serviceSchema>

/** Ticks of one schedule may overlap (the seeds' handlers answer at once), up to this many deliveries in flight. */
export const SCHEDULE_CONCURRENCY = 5

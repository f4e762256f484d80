import { z } from 'zod'
import { namespaceSchema } from './names.ts'

/** `POST /v1/events/emit`, in Septor's known shape. */
export const emitRequestSchema = z.strictObject({
  namespace: namespaceSchema,
  eventType: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]*$/, 'must be words joined by dots, such as policy.created'),
  entityId: z.string().min(1).max(500),
  data: z.unknown().optional(),
  metadata: z.strictObject({
    who: z.string().min(1).max(500),
    why: z.string().min(1).max(2000).optional(),
  }),
  idempotencyKey: z.string().min(1).max(255).optional(),
})
export type EmitRequest = z.infer<typeof emitRequestSchema>

export const emitResponseSchema = z.object({
  success: z.literal(true),
  data: z.object({ eventId: z.string(), eventHash: z.string().optional(), chainIndex: z.int().optional() }),
})

/** One audit record: who, what, when, where, how, why and its hash. */
export const auditEventSchema = z.object({
  eventId: z.string(),
  namespace: z.string(),
  entityId: z.string(),
  eventType: z.string(),
  chainIndex: z.int(),
  createdAt: z.string(),
  metadata: z.object({ who: z.string(), why: z.string().optional() }),
  where: z.record(z.string(), z.string()),
  how: z.record(z.string(), z.string()),
  data: z.unknown(),
  dataHash: z.string(),
  previousHash: z.string(),
  eventHash: z.string(),
})
export type AuditEvent = z.infer<typeof auditEventSchema>

export const eventQuerySchema = z.strictObject({
  namespace: namespaceSchema.optional(),
  entityId: z.string().max(500).optional(),
  eventType: z.string().max(200).optional().describe('exact, or a prefix with a trailing *, such as policy.*'),
  who: z.string().max(500).optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: z.string().max(200).optional(),
})
export type EventQuery = z.infer<typeof eventQuerySchema>

export const chainVerdictSchema = z.object({
  valid: z.boolean(),
  totalEvents: z.int(),
  brokenAt: z.int().optional().describe('the first bad index of the chain'),
  reason: z.string().optional(),
})
export type ChainVerdict = z.infer<typeof chainVerdictSchema>

export const JOB_STATES = ['waiting', 'scheduled', 'running', 'succeeded', 'dead', 'cancelled', 'expired'] as const
export type JobState = (typeof JOB_STATES)[number]
export const FINAL_JOB_STATES: readonly JobState[] = ['succeeded', 'dead', 'cancelled', 'expired']

export const jobViewSchema = z.object({
  id: z.string(),
  namespace: z.string(),
  queue: z.string(),
  kind: z.string(),
  state: z.enum(JOB_STATES),
  attempts: z.int(),
  enqueuedAt: z.string(),
  updatedAt: z.string(),
  finishedAt: z.string().optional(),
  nextAttemptAt: z.string().optional(),
  reason: z.string().optional().describe('the class of its last error'),
  status: z.int().optional().describe('of the last answer'),
  discardedAt: z.string().optional().describe('when its dead letter was removed'),
  data: z.unknown(),
  result: z
    .unknown()
    .optional()
    .describe('what the endpoint answered when it succeeded, where that was JSON of up to 64 KiB'),
  progress: z.unknown().optional().describe('the last that was reported'),
  history: z.array(z.object({ at: z.string(), type: z.string(), data: z.unknown() })),
})
export type JobView = z.infer<typeof jobViewSchema>

import { z } from 'zod'
import { REQUEST_LIMITS } from './limits.ts'
import { namespaceSchema, recordedNamespaceSchema } from './names.ts'
import { fieldSchema } from './trail-api.ts'

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

/** Which events are meant: all that is named must hold. */
const eventFilter = {
  namespace: recordedNamespaceSchema.optional(),
  entityId: z.string().max(500).optional(),
  eventType: z.string().max(200).optional().describe('exact, or with * for anything: policy.*, *.created'),
  who: z.string().max(500).optional(),
  since: z.iso.datetime({ offset: true }).optional().describe('then or later'),
  until: z.iso.datetime({ offset: true }).optional().describe('before'),
  field: fieldSchema.optional(),
  equals: z.string().max(2000).optional().describe('what stands at field'),
  text: z.string().min(1).max(500).optional().describe('words that all stand somewhere in the payload'),
}

/** The filter belongs together: a path without a value is a mistake worth hearing of. */
function checkPayload({ field, equals }: { field?: string | undefined; equals?: string | undefined }) {
  return (field === undefined) === (equals === undefined)
}
const PAYLOAD_MISTAKE = { path: ['field'], error: 'goes together with equals' }

export const eventQuerySchema = z
  .strictObject({
    ...eventFilter,
    limit: z.coerce.number().int().min(1).max(REQUEST_LIMITS.pageItems.value).default(100),
    cursor: z.string().max(200).optional(),
  })
  .refine(checkPayload, PAYLOAD_MISTAKE)

/** `GET /v1/events/count`. */
export const eventCountQuerySchema = z.strictObject(eventFilter).refine(checkPayload, PAYLOAD_MISTAKE)

/** `GET /v1/export`. */
export const exportQuerySchema = z
  .strictObject({ ...eventFilter, format: z.enum(['ndjson', 'csv']).default('ndjson') })
  .refine(checkPayload, PAYLOAD_MISTAKE)
export type EventQuery = z.infer<typeof eventQuerySchema>

export const chainVerdictSchema = z.object({
  verdict: z.enum(['intact', 'tampered', 'unverifiable']),
  valid: z.boolean().describe('the verdict is intact'),
  totalEvents: z.int(),
  erased: z.int().describe('of these, whose payload was erased, as a record says'),
  brokenAt: z.int().optional().describe('the first bad index of the chain'),
  eventId: z.string().optional().describe('the record there, where it could be read'),
  level: z.string().optional().describe('what does not fit: record, chain, copy, payload, head or trail'),
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

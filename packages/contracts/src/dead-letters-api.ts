import { z } from 'zod'
import { bySchema, destructiveBySchema } from './by.ts'
import { FAILURE_REASONS, lastResponseSchema, timeSchema } from './jobs-api.ts'
import { REQUEST_LIMITS } from './limits.ts'
import { namespaceSchema } from './names.ts'

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
  fingerprint: z.string().describe('the same for letters that failed in the same way'),
})
export type DeadLetter = z.infer<typeof deadLetterSchema>

const queueSchema = z.string().min(1).max(80).describe('a queue, or schedule:<name>')
const limitSchema = z.int().min(1).max(1_000_000)

/** What a letter must be like, beside its queue. */
const criteria = {
  reason: z.enum(FAILURE_REASONS).optional(),
  fingerprint: z
    .string()
    .regex(/^[0-9a-f]{12}$/, 'must be 12 hex digits, as GET /dead-letters/groups gives them')
    .optional(),
  since: timeSchema.optional().describe('died then or later'),
  until: timeSchema.optional().describe('died before'),
  search: z.string().min(1).max(200).optional().describe('stands in the payload or in the last response body'),
}
const statusText = 'must be an HTTP status, 100 to 599'

/** `GET /dead-letters`: all that is named must hold. */
export const deadLetterQuerySchema = z.strictObject({
  namespace: namespaceSchema,
  queue: queueSchema.optional().describe('a queue, or schedule:<name>; without it all of the namespace'),
  ...criteria,
  status: z.coerce.number(statusText).int(statusText).min(100, statusText).max(599, statusText).optional(),
  limit: z.coerce.number().int().min(1).max(REQUEST_LIMITS.pageItems.value).default(100),
  cursor: z.string().max(200).optional(),
})

/** Which letters of a queue a redrive or a discard is for: all that is named must hold. */
export const letterFilterSchema = z.strictObject({
  namespace: namespaceSchema,
  queue: queueSchema,
  ids: z.array(z.string().max(100)).min(1).max(1000).optional().describe('these jobs only; without it the whole queue'),
  ...criteria,
  status: z.int(statusText).min(100, statusText).max(599, statusText).optional(),
})
export type LetterFilter = z.infer<typeof letterFilterSchema>

/** `POST /dead-letters/redrive`: at once, or with a rate, a canary or an id as a redrive that goes on by itself. */
export const redriveRequestSchema = z.strictObject({
  filter: letterFilterSchema,
  limit: limitSchema.optional(),
  ratePerSecond: z.number().min(0.01).max(10_000).optional().describe('so many jobs a second at most'),
  canary: z
    .strictObject({
      failureShare: z
        .number()
        .min(0)
        .lt(1)
        .default(0.5)
        .describe('stops when a greater share of a step is a dead letter again'),
    })
    .optional()
    .describe('one job first, then ten, then the rest, each step after the end of the one before'),
  redriveId: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'must be 1 to 100 letters, digits, dots, dashes or underscores')
    .optional()
    .describe('asked again with the same id, it answers how far it is and redrives nothing twice'),
  ...bySchema,
})
export type RedriveRequest = z.infer<typeof redriveRequestSchema>

/** `POST /dead-letters/discard`: what is removed for good has somebody's name on it. */
export const discardRequestSchema = z.strictObject({
  filter: letterFilterSchema,
  limit: limitSchema.optional(),
  ...destructiveBySchema,
})
export type DiscardRequest = z.infer<typeof discardRequestSchema>

export const REDRIVE_STATES = ['running', 'stopped', 'finished'] as const

/** A redrive that goes on by itself, as `GET /redrives/{id}` tells of it. */
export const redriveSchema = z.object({
  id: z.string(),
  state: z.enum(REDRIVE_STATES),
  filter: letterFilterSchema,
  limit: z.int().optional(),
  ratePerSecond: z.number().optional(),
  canary: z
    .object({
      failureShare: z.number(),
      step: z.enum(['first', 'ten', 'rest']),
      taken: z.int().describe('jobs of this step'),
      died: z.int().describe('of these, dead letters again'),
      waitingFor: z.array(z.string()).describe('of these, not at their end yet'),
    })
    .optional(),
  redriven: z.int(),
  lookedAt: z.int().describe('letters that were compared with the filter'),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  who: z.string(),
  why: z.string().optional(),
  stopped: z.object({ who: z.string(), why: z.string().optional() }).optional(),
})
export type Redrive = z.infer<typeof redriveSchema>

/** Letters of one queue that failed in the same way. */
export const letterGroupSchema = z.object({
  namespace: z.string(),
  queue: z.string(),
  fingerprint: z.string(),
  reason: z.string(),
  status: z.int().optional(),
  sample: z.string().describe('what the newest of them said, its first line'),
  count: z.int(),
  firstAt: z.iso.datetime().describe('when the first of them died'),
  lastAt: z.iso.datetime(),
  exampleId: z.string(),
})
export type LetterGroup = z.infer<typeof letterGroupSchema>

import { z } from 'zod'
import { EVENT_KINDS } from './events.ts'
import { MAX_PARTITIONS, REGISTRY_PARTITION } from './ids.ts'

/** A position that Redis takes: `<ms>-<seq>`. */
const positionSchema = z
  .string()
  .max(40)
  .regex(/^\d+-\d+$/, 'must be a position in a log, <ms>-<seq>')

/** `GET /v1/log`: what a log held, also where it has been trimmed. */
export const historyQuerySchema = z.strictObject({
  partition: z.coerce
    .number()
    .int()
    .min(0)
    .max(REGISTRY_PARTITION)
    .describe(`0 to ${MAX_PARTITIONS - 1}, or ${REGISTRY_PARTITION} for the log of the registry`),
  after: positionSchema.default('0-0').describe('not included'),
  to: positionSchema.describe('included'),
  kind: z.enum(EVENT_KINDS).optional().describe('only facts of this kind'),
  limit: z.coerce.number().int().min(1).max(200).default(200),
})

/** A fact as the log held it. */
export const pastEventSchema = z.object({
  position: positionSchema,
  kind: z.enum(EVENT_KINDS),
  type: z.string(),
  namespace: z.string(),
  queue: z.string(),
  entityId: z.string(),
  data: z.string().nullable().describe('JSON text as it came; null when it was erased'),
})

export const historyPageSchema = z.object({
  events: z.array(pastEventSchema),
  through: positionSchema.describe('everything up to here was looked at; go on behind it'),
  entriesRead: z.int().describe('how many entries of this log were ever recorded'),
})
export type HistoryPage = z.infer<typeof historyPageSchema>

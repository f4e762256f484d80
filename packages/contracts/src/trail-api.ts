import { z } from 'zod'
import { destructiveBySchema } from './by.ts'
import { namespaceSchema } from './names.ts'

const entityIdSchema = z.string().min(1).max(500)

/** A member of a payload: names or places in lists, joined by dots. */
export const fieldSchema = z
  .string()
  .min(1)
  .max(500)
  .describe('a member of the payload, such as customer.id or items.0.sku')

/** `POST /v1/subjects/{id}/erase`: whose payloads go. */
export const eraseRequestSchema = z.strictObject({
  namespace: namespaceSchema.optional().describe('only there; without it in every namespace'),
  fields: z
    .array(fieldSchema)
    .max(20)
    .default([])
    .describe('also records whose payload holds the id there, and whole jobs of which one does'),
  dryRun: z.boolean().default(false).describe('only count'),
  ...destructiveBySchema,
})
export type EraseRequest = z.infer<typeof eraseRequestSchema>

export const eraseResultSchema = z.object({
  matching: z.int().describe('records of the person that had a payload'),
  held: z.int().describe('of these, under a legal hold; they stay'),
  erased: z.int().describe('0 of a dry run'),
  eventIds: z.array(z.string()).describe('the records that tell of it'),
})
export type EraseResult = z.infer<typeof eraseResultSchema>

/** `POST /v1/holds`: no payload that it covers is destroyed while it is in force. */
export const holdRequestSchema = z.strictObject({
  namespace: namespaceSchema,
  entityId: entityIdSchema.optional().describe('without it every entity of the namespace'),
  ...destructiveBySchema,
})
export type HoldRequest = z.infer<typeof holdRequestSchema>

/** `POST /v1/holds/{id}/release`. */
export const releaseRequestSchema = z.strictObject(destructiveBySchema)

export const holdSchema = z.object({
  id: z.string(),
  namespace: z.string(),
  entityId: z.string().optional(),
  who: z.string(),
  why: z.string(),
  placedAt: z.iso.datetime(),
  releasedAt: z.iso.datetime().optional(),
})
export type Hold = z.infer<typeof holdSchema>

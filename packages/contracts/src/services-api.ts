import { z } from 'zod'
import { bySchema } from './by.ts'
import { STORE_LIMITS } from './limits.ts'

/** `PUT /services/{namespace}`: the manifest as YAML text or as the object it parses to. */
export const applyRequestSchema = z.strictObject({
  manifest: z.union([z.string().max(STORE_LIMITS.manifestCharacters.value), z.record(z.string(), z.unknown())]),
  url: z
    .string()
    .max(2000)
    .optional()
    .describe(
      'where the service listens; without it MILLRACE_SERVICE_URL_TEMPLATE makes it, else the registered one stays',
    ),
  ...bySchema,
})
export type ApplyRequest = z.infer<typeof applyRequestSchema>

export const manifestWarningSchema = z.object({ pointer: z.string(), line: z.int().optional(), detail: z.string() })
export type ManifestIssue = z.infer<typeof manifestWarningSchema>

export const applyResponseSchema = z.object({
  namespace: z.string(),
  url: z.string(),
  version: z.int(),
  result: z.enum(['created', 'changed', 'unchanged']),
  queues: z.array(z.string()),
  schedules: z.array(z.string()),
  subscriptions: z.array(z.string()),
  closing: z.array(z.string()),
  warnings: z.array(manifestWarningSchema),
})
export type ApplyResponse = z.infer<typeof applyResponseSchema>

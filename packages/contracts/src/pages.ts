import { z } from 'zod'
import { REQUEST_LIMITS } from './limits.ts'

/**
 * How a list of what somebody declared or made by hand (services, queues, keys, holds) is asked for. Such lists are mostly
 * short, so a page is as large as pages may be: who has fewer than that has all in one answer.
 */
export const wholePageSchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(REQUEST_LIMITS.pageItems.value).default(REQUEST_LIMITS.pageItems.value),
  // The longest key is two names of about a hundred characters, in base64.
  cursor: z.string().max(1000).optional().describe('of the answer before: what comes behind it'),
})
export type PageRequest = z.output<typeof wholePageSchema>

/** The member of an answer that leads on. */
export const nextPageSchema = { cursor: z.string().optional().describe('there is more: ask again with it') }

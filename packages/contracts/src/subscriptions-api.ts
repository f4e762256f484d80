import { z } from 'zod'
import { bySchema, destructiveBySchema } from './by.ts'
import { namespaceSchema } from './names.ts'
import { manifestSubscriptionSchema } from './service.ts'
import { startFromSchema, subscriptionFields } from './subscription.ts'

const which = {
  types: subscriptionFields.types,
  source: subscriptionFields.source,
  filters: subscriptionFields.filters,
}

const configSchema = manifestSubscriptionSchema
  .omit({ name: true, endpoint: true, types: true, source: true, filters: true })
  .extend({
    namespace: namespaceSchema.describe('the service that it belongs to'),
    name: manifestSubscriptionSchema.shape.name.optional().describe('without it a new one'),
  })

/** A subscription as the CloudEvents Subscriptions API has it; `config` is ours. */
export const subscriptionRequestSchema = z.strictObject({
  id: z.string().optional().describe('given by us: namespace and name with a dot between'),
  ...which,
  config: configSchema,
  sink: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .max(2000)
    .optional()
    .describe('where to deliver to; not with delivery: pull in config'),
  protocol: z.literal('HTTP', 'must be HTTP').default('HTTP'),
  protocolsettings: z.strictObject({ method: z.literal('POST', 'must be POST').optional() }).optional(),
  ...bySchema,
})
export type SubscriptionRequest = z.infer<typeof subscriptionRequestSchema>

/** `DELETE /subscriptions/{id}`: what is published from then on is not delivered. */
export const subscriptionEndSchema = z.strictObject(destructiveBySchema)

export const subscriptionViewSchema = z.object({
  id: z.string(),
  types: z.array(z.string()).optional(),
  source: z.string().optional(),
  filters: z.array(z.unknown()).optional(),
  config: z.record(z.string(), z.unknown()),
  sink: z.string().optional().describe('not of one that is pulled'),
  protocol: z.literal('HTTP').optional().describe('not of one that is pulled'),
})
export type SubscriptionView = z.infer<typeof subscriptionViewSchema>

/** `POST /subscriptions/try`. */
export const tryRequestSchema = z.strictObject({
  namespace: namespaceSchema.optional().describe('who would subscribe: only its own platform events are looked at'),
  ...which,
  last: z.int().min(1).max(1000).default(100).describe('how many of the last events to look at'),
})

/** `POST /subscriptions/{id}/move`: ahead, it passes over what was not delivered. */
export const moveRequestSchema = z.strictObject({ to: startFromSchema, ...destructiveBySchema })

const timeOrEvent = startFromSchema.refine((text) => text !== 'now', 'must be earliest, a time, or the id of an event')

/** `POST /subscriptions/{id}/replay`. */
export const replayRequestSchema = z.strictObject({
  from: timeOrEvent.describe('the first: earliest, a time, or the id of an event'),
  to: startFromSchema
    .refine((text) => text !== 'earliest', 'must be now, a time, or the id of an event')
    .default('now')
    .describe('the end: what was published before it'),
  ratePerSecond: z.number().min(0.1).max(10_000).default(100),
  dryRun: z.boolean().default(false).describe('only count'),
  ...bySchema,
})
export type ReplayRequest = z.infer<typeof replayRequestSchema>

export const REPLAY_STATES = ['running', 'finished', 'stopped'] as const

export const replaySchema = z.object({
  id: z.string(),
  subscription: z.string(),
  state: z.enum(REPLAY_STATES),
  from: z.string(),
  to: z.string(),
  ratePerSecond: z.number(),
  replayed: z.int().describe('deliveries that were made so far'),
  looked: z.int().describe('entries of the log that were looked at so far'),
  erased: z.int().describe('left out, because their payload was erased'),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
})
export type Replay = z.infer<typeof replaySchema>

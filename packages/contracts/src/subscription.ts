import { z } from 'zod'
import { nameSchema } from './names.ts'

/** `order.paid`, `order.*` for all below, `*` for all that services publish. */
export const typePatternSchema = z
  .string()
  .max(255)
  .regex(/^(?:\*|[^\s*]+(?:\.\*)?)$/, 'must be a type such as order.paid, all below one such as order.*, or *')

const START = /^(?:now|earliest|evt_[0-9a-f]{19}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))$/

/** Where reading begins: `now`, `earliest`, a time, or the id of an event, which is then the first. */
export const startFromSchema = z
  .string()
  .regex(START, 'must be now, earliest, a time such as 2026-01-31T12:00:00Z, or the id of an event (evt_…)')
  .refine((text) => !text.includes('T') || !Number.isNaN(Date.parse(text)), 'is not a time that there is')

/** Which events a subscription is about. */
export const subscriptionFields = {
  types: z.array(typePatternSchema).max(100).default([]).describe('any one of them; none is as *'),
  source: z.string().min(1).max(2048).optional().describe('the source of the events, exactly'),
  filters: z.array(z.unknown()).max(100).default([]).describe('all of them: exact, prefix, suffix, all, any, not, sql'),
  startFrom: startFromSchema.default('now'),
}

/** The same as the registry keeps it, with where the subscription began. */
export const subscriptionSourceSchema = z.strictObject({
  types: z.array(z.string()),
  source: z.string().optional(),
  filters: z.array(z.unknown()),
  startFrom: z.string(),
  since: z.int().describe('the version of the service that made it: a later one of the same name begins anew'),
  starts: z.record(z.string(), z.string()).describe("the position in each partition's log behind which it begins"),
})
export type SubscriptionSource = z.infer<typeof subscriptionSourceSchema>

/** `spec.events[]`: a type that the service publishes, with the JSON Schema (2020-12) of its data. */
export const declaredEventSchema = z.strictObject({
  type: z
    .string()
    .max(255)
    .regex(/^[^\s*]+$/, 'must be a type such as order.paid'),
  schema: z.unknown().optional().describe('a JSON Schema: an object, true or false'),
  onMismatch: z
    .enum(['refuse', 'warn'])
    .default('refuse')
    .describe('what does not fit the schema is refused, or published with a warning'),
  description: z.string().max(1000).optional(),
})
export type DeclaredEvent = z.infer<typeof declaredEventSchema>

/** The CloudEvents Subscriptions API calls a subscription by one id; ours is namespace and name with a dot between. */
export function subscriptionId(namespace: string, name: string): string {
  return `${namespace}.${name}`
}

export function parseSubscriptionId(id: string): { namespace: string; name: string } | undefined {
  const dot = id.indexOf('.')
  const name = id.slice(dot + 1)
  return dot > 0 && nameSchema.safeParse(name).success ? { namespace: id.slice(0, dot), name } : undefined
}

import { z } from 'zod'
import { bySchema, destructiveBySchema, saysWhyAtOnce, WHY_AT_ONCE } from './by.ts'
import { namespaceSchema } from './names.ts'

/**
 * What somebody may do, from the least to the most:
 * `producer` hands in jobs and events; `worker` answers for the jobs it was given; `operator` applies manifests, pauses,
 * redrives, cancels and runs schedules; `auditor` reads the trail and proves it; `admin` may do all of that, hand out keys
 * and erase a person's data.
 */
export const ROLES = ['producer', 'worker', 'operator', 'auditor', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** A role in one namespace, or in all of them (`*`). */
export interface Grant {
  readonly role: Role
  readonly namespace: string
}

const GRANT = new RegExp(`^(${ROLES.join('|')}):(.+)$`)

/** `producer:shop`, `operator:*`; undefined when the text says no grant. */
export function parseGrant(text: string): Grant | undefined {
  const [, role, namespace] = GRANT.exec(text) ?? []
  if (role === undefined || namespace === undefined) return undefined
  if (namespace !== '*' && !namespaceSchema.safeParse(namespace).success) return undefined
  return { role: role as Role, namespace }
}

export function formatGrant({ role, namespace }: Grant): string {
  return `${role}:${namespace}`
}

const grantSchema = z
  .string()
  .refine(
    (text) => parseGrant(text) !== undefined,
    `must be <role>:<namespace>, such as producer:shop or operator:*; roles: ${ROLES.join(', ')}`,
  )

/** `POST /keys`. */
export const keyRequestSchema = z.strictObject({
  name: z.string().min(1).max(100).describe('whose key it is: what the audit trail says of its requests'),
  grants: z
    .array(grantSchema)
    .min(1)
    .max(100)
    .describe('what it allows: <role>:<namespace>, or <role>:* for all namespaces'),
  expiresAt: z.iso
    .datetime({ offset: true })
    .optional()
    .describe('from then on it is refused; without it it lasts until revoked'),
  ...bySchema,
})
export type KeyRequest = z.infer<typeof keyRequestSchema>

/** `POST /keys/{id}/rotate`: for how long the old secret goes on working beside the new one. */
export const keyRotationSchema = z
  .strictObject({
    graceSeconds: z
      .int()
      .min(0)
      .max(30 * 86_400)
      .default(86_400)
      .describe('how long the old secret works beside the new one; 0 needs a why'),
    ...bySchema,
  })
  .refine(saysWhyAtOnce, WHY_AT_ONCE)

/** `POST /keys/{id}/revoke`. */
export const keyRevocationSchema = z.strictObject(destructiveBySchema)

/** A key as it is listed: never its secret. */
export const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  grants: z.array(z.string()),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  rotatedAt: z.iso.datetime().optional(),
  oldSecretUntil: z.iso.datetime().optional().describe('after a rotation: until then the old secret works as well'),
  expiresAt: z.iso.datetime().optional(),
  revokedAt: z.iso.datetime().optional(),
})
export type Key = z.infer<typeof keySchema>

/** The answer of a creation or a rotation: the only time that the secret is shown. */
export const issuedKeySchema = keySchema.extend({
  key: z.string().describe('send it as `Authorization: Bearer <key>`; it is shown this once and kept only as a hash'),
})
export type IssuedKey = z.infer<typeof issuedKeySchema>

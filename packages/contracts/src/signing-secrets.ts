import { z } from 'zod'
import { bySchema, destructiveBySchema, saysWhyAtOnce, WHY_AT_ONCE } from './by.ts'
import { namespaceSchema } from './names.ts'

/**
 * How a secret signs: `hmac` (HMAC-SHA256, `v1,…`, a secret that both sides know, `whsec_…`) or `ed25519` (`v1a,…`, of which
 * the service only gets the public half, `whpk_…`). Standard Webhooks, section "Signature scheme".
 */
export const SECRET_KINDS = ['hmac', 'ed25519'] as const
export type SecretKind = (typeof SECRET_KINDS)[number]

const kindSchema = z.enum(SECRET_KINDS, `must be one of ${SECRET_KINDS.join(', ')}`)

/** `POST /services/{namespace}/secrets/rotate`: the first secret of its kind, or the one that follows. */
export const secretRotationSchema = z
  .strictObject({
    kind: kindSchema.default('hmac'),
    graceSeconds: z
      .int()
      .min(0)
      .max(30 * 86_400)
      .default(86_400)
      .describe('for so long deliveries are signed with the old one as well; 0 drops it at once, and needs a why'),
    ...bySchema,
  })
  .refine(saysWhyAtOnce, WHY_AT_ONCE)

/** `POST /services/{namespace}/secrets/{id}/revoke`. */
export const secretRevocationSchema = z.strictObject(destructiveBySchema)

/** `POST /secrets/reseal`. */
export const resealSchema = z.strictObject(bySchema)
export const resealedSchema = z.object({ resealed: z.int().describe('secrets that another master key had sealed') })

/** A signing secret as it is listed: never what it signs with. */
export const signingSecretSchema = z.object({
  id: z.string(),
  namespace: namespaceSchema,
  kind: kindSchema,
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  until: z.iso
    .datetime()
    .optional()
    .describe('after a rotation: until then deliveries are signed with this one as well'),
  publicKey: z.string().optional().describe('of `ed25519`: what verifies, `whpk_…`; no secret'),
})
export type SigningSecret = z.infer<typeof signingSecretSchema>

/** The answer of a rotation: the only time that an `hmac` secret is shown. */
export const issuedSecretSchema = signingSecretSchema.extend({
  secret: z.string().optional().describe('of `hmac`: `whsec_…`, for the service; it is shown this once'),
})
export type IssuedSecret = z.infer<typeof issuedSecretSchema>

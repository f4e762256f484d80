import { createHmac, createPublicKey, createSecretKey, type KeyObject, timingSafeEqual, verify } from 'node:crypto'
import { MillraceError } from '../errors.ts'

/**
 * What a service verifies with: `whsec_…` (HMAC-SHA256) or `whpk_…` (Ed25519, the public half). Several, as during a
 * rotation, in a list or with spaces or commas between them; one that fits is enough.
 */
export type Secrets = string | readonly string[]

/** One secret, ready to check signatures of its version. */
export interface SignatureKey {
  readonly version: 'v1' | 'v1a'
  /** In the same time whatever is wrong. */
  fits(content: Buffer, signature: Buffer): boolean
}

const SECRET = /^(whsec|whpk)_([A-Za-z0-9+/]+={0,2})$/
/** Standard Webhooks: 24 to 64 bytes. */
const MIN_SECRET_BYTES = 24
const PUBLIC_KEY_BYTES = 32

/** @throws MillraceError `sdk.invalid_input` when there is none, or one that is no such thing; it is not repeated. */
export function parseSecrets(secrets: Secrets | undefined): readonly SignatureKey[] {
  const texts = (typeof secrets === 'string' ? secrets.split(/[\s,]+/) : [...(secrets ?? [])]).filter(
    (each) => each !== '',
  )
  if (texts.length === 0) {
    throw invalid(
      'No signing secret was given. `millrace secrets rotate <namespace>` makes one; the service gets it from its environment.',
    )
  }
  return texts.map(parseSecret)
}

function parseSecret(text: string): SignatureKey {
  const [, prefix, base64 = ''] = SECRET.exec(text) ?? []
  const bytes = Buffer.from(base64, 'base64')
  if (prefix === 'whsec' && bytes.length >= MIN_SECRET_BYTES) return hmacKey(createSecretKey(bytes))
  if (prefix === 'whpk' && bytes.length === PUBLIC_KEY_BYTES) return ed25519Key(bytes)
  if (text.startsWith('whsk_'))
    throw invalid('A private key (whsk_…) was given; a service verifies with the public one, whpk_….')
  throw invalid(
    `A signing secret must be whsec_… or whpk_… and base64, got ${text.length} characters of something else.`,
  )
}

function hmacKey(key: KeyObject): SignatureKey {
  return {
    version: 'v1',
    fits(content, signature) {
      const expected = createHmac('sha256', key).update(content).digest()
      return expected.length === signature.length && timingSafeEqual(expected, signature)
    },
  }
}

function ed25519Key(bytes: Buffer): SignatureKey {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') }, format: 'jwk' })
  return { version: 'v1a', fits: (content, signature) => verify(null, content, key, signature) }
}

function invalid(message: string): MillraceError {
  return new MillraceError(message, { code: 'sdk.invalid_input' })
}

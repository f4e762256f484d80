import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { SecretKind } from '@millrace/contracts'

/** Standard Webhooks asks for 24 to 64 random bytes; 32 are as many as SHA-256 can use. */
const SECRET_BYTES = 32
const PREFIXES = { hmac: 'whsec_', ed25519: 'whsk_', publicKey: 'whpk_' } as const

export interface NewSecret {
  /** `whsec_…` or `whsk_…`: what signs. */
  readonly secret: string
  /** `whpk_…`: what verifies, where that is something else. */
  readonly publicKey?: string
}

export function makeSecretId(): string {
  return `sec_${randomBytes(6).toString('hex')}`
}

export function makeSigningSecret(kind: SecretKind): NewSecret {
  if (kind === 'hmac') return { secret: formatSigningSecret(randomBytes(SECRET_BYTES)) }
  const { privateKey } = generateKeyPairSync('ed25519')
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
  const [seed, publicKey] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]
  // Seed and public half together, 64 bytes, are how NaCl and what grew out of it keep a private key.
  return {
    secret: PREFIXES.ed25519 + Buffer.concat([seed, publicKey]).toString('base64'),
    publicKey: PREFIXES.publicKey + publicKey.toString('base64'),
  }
}

export function formatSigningSecret(bytes: Buffer): string {
  return PREFIXES.hmac + bytes.toString('base64')
}

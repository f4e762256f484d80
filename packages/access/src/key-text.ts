import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * `mk_<id>_<secret>`: the id is found in the store, the secret is proved against its hash. Both are random; the prefix lets
 * a scanner of repositories know a key that somebody committed.
 */
const KEY = /^mk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/

export interface KeyParts {
  readonly id: string
  readonly secret: string
}

export function makeKeyId(): string {
  return randomBytes(6).toString('hex')
}

/** 256 random bits. */
export function makeSecret(): string {
  return randomBytes(32).toString('base64url')
}

export function formatKey({ id, secret }: KeyParts): string {
  return `mk_${id}_${secret}`
}

export function parseKey(text: string): KeyParts | undefined {
  const [, id, secret] = KEY.exec(text) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

/** A fast hash suffices: nobody can guess 256 random bits, however fast they try. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

/** Compares in the same time whatever is wrong. */
export function isSecret(secret: string, hash: string): boolean {
  return timingSafeEqual(createHash('sha256').update(secret).digest(), Buffer.from(hash, 'base64url'))
}

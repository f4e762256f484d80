import { timingSafeEqual } from 'node:crypto'
import { ProblemError } from '@millrace/contracts'
import { grantsOf, type KeyStore, type StoredKey } from './key-store.ts'
import { isSecret, parseKey } from './key-text.ts'
import type { Principal } from './principal.ts'
import type { TokenVerifier } from './token-verifier.ts'

export interface AuthenticatorDeps {
  /** The key of whoever sets the platform up; it may do everything. */
  readonly adminKey?: string
  readonly keys: Pick<KeyStore, 'find'>
  readonly tokens?: TokenVerifier
  /** In ms. */
  now(): number
}

/** Resolves with who sent a request, from its `Authorization` header; refuses with 401 and the reason. */
export type Authenticator = (authorization: string | undefined) => Promise<Principal>

/** So long a key is taken for what it was when it was last read: a revoked one works for that much longer at most. */
const REMEMBERED_MS = 2000
/** More keys than an installation has; beyond it the oldest are read again. */
const MAX_REMEMBERED = 10_000

export function createAuthenticator({ adminKey, keys, tokens, now }: AuthenticatorDeps): Authenticator {
  const find = rememberKeys(keys, now)
  return async (authorization) => {
    const bearer = bearerOf(authorization)
    if (adminKey !== undefined && isSame(bearer, adminKey))
      return { id: 'admin', name: 'admin key', grants: [{ role: 'admin', namespace: '*' }] }
    const parts = parseKey(bearer)
    if (!parts) {
      if (tokens && bearer.split('.').length === 3) return tokens(bearer)
      throw refused('is neither an API key (mk_…) nor a token of the configured issuer')
    }
    const key = await find(parts.id)
    if (!key || !hasSecret(key, parts.secret, now())) throw refused('is not, or no longer, a valid API key')
    if (key.revokedAt) throw refused(`was revoked at ${key.revokedAt}`)
    if (key.expiresAt && Date.parse(key.expiresAt) <= now()) throw refused(`expired at ${key.expiresAt}`)
    return { id: `key:${key.id}`, name: key.name, grants: grantsOf(key) }
  }
}

/** Whether a header shows that key. */
export function shows(authorization: string | undefined, key: string): boolean {
  const bearer = bearerIn(authorization ?? '')
  return bearer !== undefined && isSame(bearer, key)
}

function bearerOf(authorization: string | undefined): string {
  if (authorization === undefined)
    throw new ProblemError('auth.required', 'Send a key or a token: Authorization: Bearer <key>.')
  const bearer = bearerIn(authorization)
  if (bearer === undefined) throw refused('must be of the form: Bearer <key>')
  return bearer
}

function bearerIn(authorization: string): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
}

function hasSecret({ hash, old }: StoredKey, secret: string, nowMs: number): boolean {
  if (isSecret(secret, hash)) return true
  return old !== undefined && Date.parse(old.until) > nowMs && isSecret(secret, old.hash)
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

function refused(why: string): ProblemError {
  return new ProblemError('auth.invalid', `What stands in the Authorization header ${why}.`)
}

function rememberKeys(keys: Pick<KeyStore, 'find'>, now: () => number): KeyStore['find'] {
  const remembered = new Map<string, { key: Promise<StoredKey | undefined>; atMs: number }>()
  return (id) => {
    const known = remembered.get(id)
    if (known && now() - known.atMs < REMEMBERED_MS) return known.key
    const key = keys.find(id)
    // What could not be read is asked for again.
    key.catch(() => remembered.delete(id))
    remembered.delete(id)
    remembered.set(id, { key, atMs: now() })
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value as string)
    return key
  }
}

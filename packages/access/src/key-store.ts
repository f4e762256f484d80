import {
  formatGrant,
  type Grant,
  type IssuedKey,
  KEY_EVENTS,
  type Key,
  ProblemError,
  parseGrant,
} from '@millrace/contracts'
import { type Partition, putKey, readKey, readKeys } from '@millrace/streams'
import { formatKey, hashSecret, makeKeyId, makeSecret } from './key-text.ts'

/** A key as it is kept: of its secrets only hashes. */
export interface StoredKey {
  readonly id: string
  readonly name: string
  readonly grants: readonly string[]
  readonly hash: string
  /** After a rotation: the hash of the secret before, and until when it works. */
  readonly old?: { readonly hash: string; readonly until: string }
  readonly createdAt: string
  readonly createdBy: string
  readonly rotatedAt?: string
  readonly expiresAt?: string
  readonly revokedAt?: string
}

export interface By {
  readonly who: string
  readonly why?: string | undefined
}

export interface KeyStore {
  create(asked: { name: string; grants: readonly Grant[]; expiresAt?: string | undefined }, by: By): Promise<IssuedKey>
  list(): Promise<Key[]>
  find(id: string): Promise<StoredKey | undefined>
  /** A new secret; the old one works for so long beside it. */
  rotate(id: string, graceSeconds: number, by: By): Promise<IssuedKey>
  /** Refused from now on, within the seconds for which the apps remember a key. Twice is the same as once. */
  revoke(id: string, by: By): Promise<Key>
}

/** The API keys of an installation, in the registry. `now` in ms. */
export function createKeyStore(registry: Partition, now: () => number): KeyStore {
  const at = (ms = now()) => new Date(ms).toISOString()
  const find = async (id: string) => {
    const text = await readKey(registry, id)
    return text === undefined ? undefined : { text, key: JSON.parse(text) as StoredKey }
  }
  /** Decided again whenever somebody else changed the key meanwhile. */
  const change = async (
    id: string,
    decide: (key: StoredKey) => StoredKey,
    type: string,
    by: By,
  ): Promise<StoredKey> => {
    for (;;) {
      const known = await find(id)
      if (!known) throw new ProblemError('key.unknown', `There is no key ${id}. GET /keys lists them.`)
      const next = decide(known.key)
      if (next === known.key) return next
      const event = { type, data: { ...by, name: next.name, grants: next.grants } }
      if ((await putKey(registry, { id, before: known.text, after: JSON.stringify(next), event })) === 'put')
        return next
    }
  }

  return {
    async create({ name, grants, expiresAt }, by) {
      const [id, secret] = [makeKeyId(), makeSecret()]
      const key: StoredKey = {
        ...{ id, name, grants: grants.map(formatGrant), hash: hashSecret(secret), createdAt: at(), createdBy: by.who },
        ...(expiresAt !== undefined && { expiresAt: at(Date.parse(expiresAt)) }),
      }
      const event = { type: KEY_EVENTS.created, data: { ...by, name, grants: key.grants, expiresAt: key.expiresAt } }
      await putKey(registry, { id, after: JSON.stringify(key), event })
      return { ...toKey(key), key: formatKey({ id, secret }) }
    },
    async list() {
      const keys = (await readKeys(registry)).map((text) => JSON.parse(text) as StoredKey)
      return keys.map(toKey).sort((a, b) => (`${a.createdAt} ${a.id}` < `${b.createdAt} ${b.id}` ? -1 : 1))
    },
    find: async (id) => (await find(id))?.key,
    async rotate(id, graceSeconds, by) {
      const secret = makeSecret()
      const rotated = await change(
        id,
        (key) => {
          if (key.revokedAt) throw new ProblemError('key.revoked', `Key ${id} was revoked; make a new one.`)
          const old = { hash: key.hash, until: at(now() + graceSeconds * 1000) }
          return { ...key, hash: hashSecret(secret), old, rotatedAt: at() }
        },
        KEY_EVENTS.rotated,
        by,
      )
      return { ...toKey(rotated), key: formatKey({ id, secret }) }
    },
    async revoke(id, by) {
      return toKey(
        await change(id, (key) => (key.revokedAt ? key : { ...key, revokedAt: at() }), KEY_EVENTS.revoked, by),
      )
    },
  }
}

export function grantsOf({ grants }: StoredKey): Grant[] {
  return grants.flatMap((text) => parseGrant(text) ?? [])
}

function toKey({ hash: _hash, old, grants, ...key }: StoredKey): Key {
  return { ...key, grants: [...grants], ...(old && { oldSecretUntil: old.until }) }
}

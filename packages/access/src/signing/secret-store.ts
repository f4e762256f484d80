import {
  type IssuedSecret,
  ProblemError,
  SECRET_EVENTS,
  type SecretKind,
  type SigningSecret,
} from '@millrace/contracts'
import { type Partition, putSecrets, readAllSecrets, readSecrets } from '@millrace/streams'
import type { By } from '../key-store.ts'
import { type MasterKeys, UnknownMasterKeyError } from './master-keys.ts'
import { makeSecretId, makeSigningSecret } from './secret-text.ts'

/** A secret as it is kept. */
export interface StoredSecret {
  readonly id: string
  readonly kind: SecretKind
  /** What signs, sealed with a master key. */
  readonly sealed: string
  readonly publicKey?: string
  readonly createdAt: string
  readonly createdBy: string
  /** A newer one has followed: until then this one signs as well. */
  readonly until?: string
}

export interface SecretStore {
  list(namespace: string): Promise<SigningSecret[]>
  /** The first secret of its kind, or the one that follows; the old one signs for so long beside it. */
  rotate(namespace: string, asked: { kind: SecretKind; graceSeconds: number }, by: By): Promise<IssuedSecret>
  /** Nothing is signed with it from now on. If it was the newest of its kind, the one before goes on instead. */
  revoke(namespace: string, id: string, by: By): Promise<SigningSecret>
  /** Seal with the first master key what another one has sealed; resolves with how many that were. */
  reseal(by: By): Promise<number>
}

interface Decision {
  readonly secrets: readonly StoredSecret[]
  readonly type: string
  readonly about: StoredSecret
  readonly said: Record<string, unknown>
}

/** The signing secrets of an installation, in the registry. `now` in ms. */
export function createSecretStore(
  registry: Partition,
  { keys, now }: { keys: MasterKeys; now: () => number },
): SecretStore {
  const open = (sealed: string, place: string) => {
    try {
      return keys.open(sealed, place)
    } catch (error) {
      if (!(error instanceof UnknownMasterKeyError)) throw error
      throw new ProblemError('secret.unreadable', `${error.message}. Add it to MILLRACE_MASTER_KEY.`, { cause: error })
    }
  }
  const at = (ms = now()) => new Date(ms).toISOString()
  /** Decided again whenever somebody else changed them meanwhile; undefined changes nothing. */
  const change = async (namespace: string, by: By, decide: (now: readonly StoredSecret[]) => Decision | undefined) => {
    for (;;) {
      const before = await readSecrets(registry.redis, namespace)
      const decided = decide(inUse(before, now()))
      if (!decided) return
      const { secrets, type, about, said } = decided
      const event = { type, secretId: about.id, data: { ...by, kind: about.kind, ...said } }
      const after = formatSecrets(secrets)
      if ((await putSecrets(registry, { namespace, before, after, event })) === 'put') return
    }
  }

  return {
    async list(namespace) {
      const secrets = inUse(await readSecrets(registry.redis, namespace), now())
      return secrets.map((secret) => toSecret(namespace, secret))
    },
    async rotate(namespace, { kind, graceSeconds }, by) {
      const made = makeSigningSecret(kind)
      const secret: StoredSecret = {
        ...{ id: makeSecretId(), kind, createdAt: at(), createdBy: by.who },
        sealed: '',
        ...(made.publicKey !== undefined && { publicKey: made.publicKey }),
      }
      const next = { ...secret, sealed: keys.seal(made.secret, placeOf(namespace, secret.id)) }
      await change(namespace, by, (known) => {
        const before = known.filter((each) => each.kind === kind)
        if (graceSeconds > 0) refuseThird(before, namespace)
        const until = at(now() + graceSeconds * 1000)
        const old = graceSeconds > 0 ? before.map((each) => ({ ...each, until })) : []
        return {
          secrets: [next, ...old, ...known.filter((each) => each.kind !== kind)],
          type: before.length === 0 ? SECRET_EVENTS.created : SECRET_EVENTS.rotated,
          about: next,
          said: before.length === 0 ? {} : { replaces: before.map(({ id }) => id), graceSeconds },
        }
      })
      return { ...toSecret(namespace, next), ...(kind === 'hmac' && { secret: made.secret }) }
    },
    async revoke(namespace, id, by) {
      let revoked: StoredSecret | undefined
      await change(namespace, by, (known) => {
        revoked = known.find((each) => each.id === id)
        if (!revoked)
          throw new ProblemError(
            'secret.unknown',
            `${namespace} has no signing secret ${id}. GET /services/${namespace}/secrets lists them.`,
          )
        const secrets = without(known, revoked, namespace)
        return { secrets, type: SECRET_EVENTS.revoked, about: revoked, said: {} }
      })
      return toSecret(namespace, revoked as unknown as StoredSecret)
    },
    async reseal(by) {
      let count = 0
      for (const namespace of Object.keys(await readAllSecrets(registry.redis))) {
        let resealed = 0
        await change(namespace, by, (known) => {
          const strange = known.filter(({ sealed }) => keys.sealedBy(sealed) !== keys.id)
          resealed = strange.length
          const [about] = strange
          if (!about) return undefined
          const secrets = known.map((each) => {
            const place = placeOf(namespace, each.id)
            return strange.includes(each) ? { ...each, sealed: keys.seal(open(each.sealed, place), place) } : each
          })
          return { secrets, type: SECRET_EVENTS.resealed, about, said: { secrets: resealed, masterKey: keys.id } }
        })
        count += resealed
      }
      return count
    },
  }
}

/** Where a sealed secret belongs: put elsewhere it does not open. */
export function placeOf(namespace: string, id: string): string {
  return `the signing secret ${id} of ${namespace}`
}

/** What stands in the registry about a namespace's secrets, the newest of each kind first. */
export function parseSecrets(stored: string | undefined): readonly StoredSecret[] {
  return stored === undefined ? [] : (JSON.parse(stored) as { secrets: StoredSecret[] }).secrets
}

function formatSecrets(secrets: readonly StoredSecret[]): string {
  return JSON.stringify({ version: 1, secrets })
}

function inUse(stored: string | undefined, nowMs: number): readonly StoredSecret[] {
  return parseSecrets(stored).filter(({ until }) => until === undefined || Date.parse(until) > nowMs)
}

/** Two sign at a time: a third would lengthen every request, and silently ending one would break whoever still uses it. */
function refuseThird(known: readonly StoredSecret[], namespace: string): void {
  const leaving = known.find(({ until }) => until !== undefined)
  if (!leaving) return
  throw new ProblemError(
    'secret.rotating',
    `${leaving.id} of ${namespace} still signs until ${leaving.until}. Wait, revoke it, or rotate with graceSeconds 0, which drops it and the one that followed.`,
  )
}

function without(known: readonly StoredSecret[], revoked: StoredSecret, namespace: string): readonly StoredSecret[] {
  const left = known.filter((each) => each !== revoked)
  const others = left.filter(({ kind }) => kind === revoked.kind)
  if (others.length === 0 && revoked.kind === 'hmac')
    throw new ProblemError(
      'secret.last',
      `${namespace} has no other secret. To replace it at once, rotate with graceSeconds 0.`,
    )
  if (others.some(({ until }) => until === undefined)) return left
  // The one that was to follow is gone, so the one before stays.
  return left.map((each) => (others.includes(each) ? withoutEnd(each) : each))
}

function withoutEnd({ until: _until, ...secret }: StoredSecret): StoredSecret {
  return secret
}

function toSecret(namespace: string, { sealed: _sealed, ...secret }: StoredSecret): SigningSecret {
  return { ...secret, namespace }
}

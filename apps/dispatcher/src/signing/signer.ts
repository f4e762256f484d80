import { formatSigningSecret, type MasterKeys, parseSecrets, placeOf, type StoredSecret } from '@millrace/access'
import { createSigningKey, type SignedContent, type SigningKey } from '@millrace/engine'
import type { Logger } from '@millrace/runtime'
import { type FollowOptions, followSecrets } from '@millrace/streams'

/** The line `webhook-signature` of a request: one signature for each secret that its namespace has just now. */
export type Sign = (content: SignedContent, nowMs: number) => string

export interface Signer {
  of(namespace: string): Sign
  /** Why requests of a namespace, or of any, cannot be signed as they should; undefined when they can. */
  problem(namespace?: string): string | undefined
  stop(): void
}

export interface SignerDeps extends FollowOptions {
  readonly keys: MasterKeys
  readonly logger: Pick<Logger, 'error'>
}

interface NamespaceKeys {
  readonly stored: string | undefined
  /** In the order of the header: the newest first. */
  readonly keys: readonly { readonly sign: SigningKey; readonly untilMs: number }[]
  readonly problem?: string
}

/**
 * Signs deliveries. The opened secrets of all namespaces are kept in memory, ready to sign with, and follow the registry, so
 * that a delivery costs no more than the signature itself.
 *
 * A namespace that has asked for no secret yet is signed for with one that is derived from the master key and that nobody
 * knows: every request has its signature from the first one on, and there is nothing to keep or to leak.
 */
export async function startSigner({ keys, logger, ...follow }: SignerDeps): Promise<Signer> {
  const known = new Map<string, NamespaceKeys>()
  const derived = (namespace: string): SigningKey =>
    createSigningKey(formatSigningSecret(keys.derive(`signing of ${namespace}`)))
  const opened = (namespace: string, secret: StoredSecret) => ({
    sign: createSigningKey(keys.open(secret.sealed, placeOf(namespace, secret.id))),
    untilMs: secret.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(secret.until),
  })
  const forever = (sign: SigningKey) => ({ sign, untilMs: Number.POSITIVE_INFINITY })

  const take = (namespace: string, stored: string) => {
    const before = known.get(namespace)
    if (before?.stored === stored) return
    try {
      const secrets = parseSecrets(stored)
      const ready = secrets.map((secret) => opened(namespace, secret))
      if (!secrets.some(({ kind }) => kind === 'hmac')) ready.push(forever(derived(namespace)))
      known.set(namespace, { stored, keys: ready })
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      logger.error({ event: 'signing.unreadable', namespace, err: error }, 'a signing secret cannot be opened')
      known.set(namespace, { stored, keys: before?.keys ?? [forever(derived(namespace))], problem })
    }
  }
  const keysOf = (namespace: string): NamespaceKeys => {
    const found = known.get(namespace)
    if (found) return found
    const made = { stored: undefined, keys: [forever(derived(namespace))] }
    known.set(namespace, made)
    return made
  }

  const follower = await followSecrets(follow, take)
  return {
    of: (namespace) => (content, nowMs) => {
      let signatures = ''
      for (const { sign, untilMs } of keysOf(namespace).keys) {
        if (nowMs < untilMs) signatures += signatures === '' ? sign(content) : ` ${sign(content)}`
      }
      return `webhook-signature: ${signatures}\r\n`
    },
    problem(namespace) {
      if (namespace !== undefined) return known.get(namespace)?.problem
      const [first, ...others] = [...known.values()].flatMap((each) => each.problem ?? [])
      return others.length === 0 ? first : `${first} (and ${others.length} more)`
    },
    stop: () => follower.stop(),
  }
}

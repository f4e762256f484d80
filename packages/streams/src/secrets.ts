import { REGISTRY_KEYS } from './keys.ts'
import type { FollowOptions } from './registry.ts'
import { readAllSecrets, readSecrets } from './scripts/put_secrets.ts'

export interface SecretsFollower {
  stop(): void
}

/** How often the count of changes is looked at, in case a message was lost. */
const SWEEP_MS = 2000

/**
 * Follow the signing secrets of all namespaces, as they are kept: `take` is called for each before this resolves, and again
 * within milliseconds of a change. One that is unchanged may be handed over again.
 */
export async function followSecrets(
  { redis, subscriber, onError }: FollowOptions,
  take: (namespace: string, stored: string) => void,
): Promise<SecretsFollower> {
  let changes: string | undefined
  const refresh = async () => {
    // Read before the secrets are: what changes in between is read again, and not missed.
    const current = (await redis.hget(REGISTRY_KEYS.meta, 'secrets')) ?? '0'
    if (current === changes) return
    for (const [namespace, stored] of Object.entries(await readAllSecrets(redis))) take(namespace, stored)
    changes = current
  }
  const onMessage = (channel: string, namespace: string) => {
    if (channel !== REGISTRY_KEYS.changed) return
    readSecrets(redis, namespace).then((stored) => stored !== undefined && take(namespace, stored), onError)
  }

  subscriber.on('message', onMessage)
  await subscriber.subscribe(REGISTRY_KEYS.changed)
  await refresh()
  const timer = setInterval(() => void refresh().catch(onError), SWEEP_MS)
  return {
    stop() {
      clearInterval(timer)
      subscriber.off('message', onMessage)
    },
  }
}

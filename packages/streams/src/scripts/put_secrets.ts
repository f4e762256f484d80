import type { Redis } from 'ioredis'
import { REGISTRY_KEYS } from '../keys.ts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('put_secrets')

export interface SecretsChange {
  readonly namespace: string
  /** As they were read; undefined where the namespace has none. */
  readonly before: string | undefined
  readonly after: string
  readonly event: { readonly type: string; readonly secretId: string; readonly data: Record<string, unknown> }
}

/** Change a namespace's signing secrets together with the event that says so. `conflict`: somebody else did, decide again. */
export async function putSecrets(
  registry: Partition,
  { namespace, before = '', after, event }: SecretsChange,
): Promise<'put' | 'conflict'> {
  const args = [namespace, before, after, event.type, event.secretId, JSON.stringify(event.data)]
  return (await runScript(registry, script, args)) as 'put' | 'conflict'
}

/** The signing secrets of a namespace as they are kept; undefined where it has none. */
export async function readSecrets(redis: Redis, namespace: string): Promise<string | undefined> {
  return (await redis.hget(REGISTRY_KEYS.secrets, namespace)) ?? undefined
}

/** Those of all namespaces. */
export function readAllSecrets(redis: Redis): Promise<Record<string, string>> {
  return redis.hgetall(REGISTRY_KEYS.secrets)
}

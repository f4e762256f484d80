import { REGISTRY_KEYS } from '../keys.ts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('put_key')

export interface KeyChange {
  readonly id: string
  /** As it was read; undefined makes a new key. */
  readonly before?: string
  readonly after: string
  readonly event: { readonly type: string; readonly data: Record<string, unknown> }
}

/** Make or change an API key together with the event that says so. `conflict`: somebody else changed it, decide again. */
export async function putKey(
  registry: Partition,
  { id, before = '', after, event }: KeyChange,
): Promise<'put' | 'conflict'> {
  const args = [id, before, after, event.type, JSON.stringify(event.data)]
  return (await runScript(registry, script, args)) as 'put' | 'conflict'
}

/** An API key as it is kept. */
export async function readKey({ redis }: Partition, id: string): Promise<string | undefined> {
  return (await redis.hget(REGISTRY_KEYS.keys, id)) ?? undefined
}

/** All of them, in no order. */
export function readKeys({ redis }: Partition): Promise<string[]> {
  return redis.hvals(REGISTRY_KEYS.keys)
}

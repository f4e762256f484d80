import type { Redis } from 'ioredis'
import { REGISTRY_KEYS } from './keys.ts'

/** What was not published for so long is forgotten. */
export const REMEMBER_TYPES_MS = 30 * 86_400_000
/** Whoever makes types up as they go does not fill the memory: the newest of them stay, about a megabyte. */
export const MAX_TYPES = 10_000

/** Remember that a namespace publishes a type. */
export async function rememberType(
  redis: Redis,
  { namespace, type, nowMs }: { namespace: string; type: string; nowMs: number },
): Promise<void> {
  const key = REGISTRY_KEYS.published
  const results = await redis
    .multi()
    .zadd(key, nowMs, `${namespace} ${type}`)
    .zremrangebyscore(key, '-inf', nowMs - REMEMBER_TYPES_MS)
    .zremrangebyrank(key, 0, -MAX_TYPES - 1)
    .exec()
  for (const [error] of results ?? []) if (error) throw error
}

/** The types that were published of late, by namespace, in the order of the alphabet. */
export async function readTypes(redis: Redis, nowMs: number): Promise<ReadonlyMap<string, readonly string[]>> {
  const members = await redis.zrangebyscore(REGISTRY_KEYS.published, nowMs - REMEMBER_TYPES_MS, '+inf')
  const types = new Map<string, string[]>()
  for (const member of members.toSorted()) {
    // A namespace has no space in it.
    const space = member.indexOf(' ')
    const namespace = member.slice(0, space)
    const known = types.get(namespace)
    if (known) known.push(member.slice(space + 1))
    else types.set(namespace, [member.slice(space + 1)])
  }
  return types
}

import type { Socket } from 'node:net'
import type { Redis } from 'ioredis'
import { REGISTRY_KEYS } from './keys.ts'
import { registryPartition } from './partition.ts'
import { boot, LAYOUT_VERSION } from './scripts/boot.ts'

export interface ServerFacts {
  readonly version: string
}

/** What must be true of a Redis before Millrace trusts it with jobs; thrown with the command that mends it. */
export class UnfitServerError extends Error {
  override readonly name = 'UnfitServerError'
}

/** Check the server at boot: version, eviction policy, partition count. */
export async function checkServer(redis: Redis, { partitions }: { partitions: number }): Promise<ServerFacts> {
  const facts = await checkSettings(redis)
  const stored = await boot(registryPartition(redis), { partitions })
  if (stored.partitions !== partitions) {
    throw new UnfitServerError(
      `This Redis was set up with ${stored.partitions} partitions and MILLRACE_PARTITIONS says ${partitions}. The number is fixed at first boot: set MILLRACE_PARTITIONS=${stored.partitions}.`,
    )
  }
  if (stored.layout !== LAYOUT_VERSION) {
    throw new UnfitServerError(
      `The data in this Redis has layout ${stored.layout}, this Millrace reads layouts up to ${LAYOUT_VERSION}. Start the version that wrote it, or follow "Upgrade" in docs/operations.md.`,
    )
  }
  return facts
}

/**
 * Check one server. A policy other than `noeviction` may drop whole streams, which are jobs already accepted, so it is refused.
 */
export async function checkSettings(redis: Redis): Promise<ServerFacts> {
  const info = await redis.info()
  const version = /^(?:redis|valkey)_version:(.*)$/m.exec(info)?.[1]?.trim() ?? 'unknown'
  const which = `Redis${/^cluster_enabled:1/m.test(info) ? ` (${serverName(redis)})` : ''}`
  if (Number(version.split('.')[0]) < 7) {
    throw new UnfitServerError(`${which} ${version} is too old: Millrace needs Redis 7.0 or newer, or Valkey.`)
  }
  const policy = /^maxmemory_policy:(.*)$/m.exec(info)?.[1]?.trim()
  if (policy && policy !== 'noeviction') {
    throw new UnfitServerError(
      `${which} has maxmemory-policy ${policy}, which may drop accepted jobs. Expected noeviction: run CONFIG SET maxmemory-policy noeviction, or set it in redis.conf.`,
    )
  }
  return { version }
}

/** The server at the other end, for people. */
function serverName({ stream }: Redis): string {
  const { remoteAddress, remotePort } = stream as Partial<Socket>
  return `${remoteAddress}:${remotePort}`
}

/** What was fixed at first boot; undefined when no platform has been started on this server. */
export async function readLayout(redis: Redis): Promise<{ partitions: number; layout: number } | undefined> {
  const [partitions, layout] = await redis.hmget(REGISTRY_KEYS.meta, 'partitions', 'layout')
  return partitions == null ? undefined : { partitions: Number(partitions), layout: Number(layout) }
}

/** How many partitions the platform on this server has; undefined when none has been started on it. */
export async function readPartitionCount(redis: Redis): Promise<number | undefined> {
  const stored = await redis.hget(REGISTRY_KEYS.meta, 'partitions')
  return stored === null ? undefined : Number(stored)
}

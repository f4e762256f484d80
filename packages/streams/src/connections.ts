import { REGISTRY_PARTITION, readRedisUrl } from '@millrace/contracts'
import type { Redis } from 'ioredis'
import { type ConnectionOptions, connect, whenReady } from './connection.ts'

/** The connections for scripts: one for all, or on a cluster one for each partition, which goes where its partition is. */
export interface Connections {
  /** Of a partition, the registry's included; made when it is asked for first. */
  of(partition: number): Redis
  /** Resolves when all that were asked for can take commands; rejects after the deadline. */
  ready(options: { timeoutMs: number }): Promise<void>
  /** Why commands would fail now, undefined when none of those that were asked for would. */
  problem(): string | undefined
  disconnect(): void
}

/**
 * Connections by partition and not by node, as a cluster client would have it: what befalls one node is the matter of its partitions
 * alone, each finds its new primary by itself, and everything that holds for one connection holds for each of them.
 */
export function openConnections(options: Omit<ConnectionOptions, 'partition'>): Connections {
  const isCluster = readRedisUrl(options.url).kind === 'cluster'
  const open = new Map<number, Redis>()
  const make = (partition: number) => {
    const redis = connect({ ...options, partition })
    // Each runner and route listens to it; there is no number of them that would be a leak.
    redis.setMaxListeners(0)
    open.set(partition, redis)
    return redis
  }
  return {
    of(partition) {
      const number = isCluster ? partition : REGISTRY_PARTITION
      return open.get(number) ?? make(number)
    },
    async ready({ timeoutMs }) {
      await Promise.all([...open.values()].map((redis) => whenReady(redis, { timeoutMs })))
    },
    problem() {
      const away = [...open].find(([, { status }]) => status !== 'ready')
      if (away === undefined) return undefined
      const [partition, { status }] = away
      const whose = isCluster && partition !== REGISTRY_PARTITION ? ` to partition ${partition}` : ''
      return `connection${whose} is ${status}`
    },
    disconnect() {
      for (const redis of open.values()) redis.disconnect()
    },
  }
}

import { REGISTRY_PARTITION, readRedisUrl } from '@millrace/contracts'
import type { Redis } from 'ioredis'
import { type ConnectionOptions, connect, whenReady } from './connection.ts'

/** The connections for scripts: one for all, or on a cluster one for each partition, which goes where its partition is. */
export interface Connections {
  /** Of a partition, the registry's included; made when it is asked for first. */
  of(partition: number): Redis
  /** Resolves when all that were asked for can take commands; rejects after the deadline. */
  ready(options: { timeoutMs: number }): Promise<void>
  /** Why commands of a partition would fail now, undefined when they would not. */
  problem(partition: number): string | undefined
  disconnect(): void
}

/**
 * Connections by partition and not by node, as a cluster client would have it: what befalls one node is the matter of its partitions
 * alone, each finds its new primary by itself, and everything that holds for one connection holds for each of them.
 */
export function openConnections(options: Omit<ConnectionOptions, 'partition'>): Connections {
  const isCluster = readRedisUrl(options.url).kind === 'cluster'
  const open = new Map<number, Redis>()
  // One for all where there is one server.
  const keyOf = (partition: number) => (isCluster ? partition : REGISTRY_PARTITION)
  const make = (partition: number) => {
    const redis = connect({ ...options, partition })
    // Each runner and route listens to it; there is no number of them that would be a leak.
    redis.setMaxListeners(0)
    open.set(partition, redis)
    return redis
  }
  return {
    of(partition) {
      const number = keyOf(partition)
      return open.get(number) ?? make(number)
    },
    async ready({ timeoutMs }) {
      await Promise.all([...open.values()].map((redis) => whenReady(redis, { timeoutMs })))
    },
    problem(partition) {
      const status = open.get(keyOf(partition))?.status ?? 'ready'
      return status === 'ready' ? undefined : `connection is ${status}`
    },
    disconnect() {
      for (const redis of open.values()) redis.disconnect()
    },
  }
}

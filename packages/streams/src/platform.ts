import { REGISTRY_PARTITION } from '@millrace/contracts'
import type { Redis } from 'ioredis'
import { type ConnectionLog, connectSubscriber, isConnectionError } from './connection.ts'
import { openConnections } from './connections.ts'
import { type DurabilityView, watchDurability } from './durability.ts'
import { createPartitions, type Partitions } from './partition.ts'
import { followRegistry, type RegistryView } from './registry.ts'
import { dropOtherLibraries } from './scripts/load.ts'
import { raise } from './scripts/raise.ts'
import { checkServer, checkSettings, type ServerFacts } from './server-check.ts'
import { whenServing } from './serving.ts'

export interface PlatformLog extends ConnectionLog {
  error(fields: Record<string, unknown>, message: string): void
}

export interface RedisOptions {
  readonly url: string
  /** What the connection is called in Redis and in the log: the app's name. */
  readonly role: string
  readonly partitions: number
  /** So many replicas must have what producers are told is accepted; none unless told. */
  readonly waitReplicas?: number
  readonly logger: PlatformLog
  /** How long a Redis that is still starting is waited for. */
  readonly timeoutMs: number
  /** A connection was lost, and stands again: that of the commands, or of the wake-ups. */
  onReconnect?(connection: 'commands' | 'wakeups'): void
}

export interface OpenRedis {
  /** The connection of the registry; on a cluster each partition has its own. */
  readonly redis: Redis
  readonly facts: ServerFacts
  readonly partitions: Partitions
  /** Why Redis cannot be worked with now for a partition, undefined when it can. */
  problem(partition: number): string | undefined
  disconnect(): void
}

/**
 * Connect to a Redis that is fit for Millrace: every server that has a partition is looked at.
 *
 * @throws UnfitServerError when it could lose jobs, has another number of partitions or refuses for good; RedisUnreachableError when
 *   it does not answer or cannot serve in time
 */
export async function openRedis(options: RedisOptions): Promise<OpenRedis> {
  const { url, role, logger, timeoutMs } = options
  const connections = openConnections({
    ...{ url, role, log: logger, onReconnect: () => options.onReconnect?.('commands') },
  })
  const redis = connections.of(REGISTRY_PARTITION)
  const partitions = createPartitions(connections.of, options.partitions, options)
  const all = new Set([redis, ...partitions.all.map((partition) => partition.redis)])
  await connections.ready({ timeoutMs })
  const prepare = async () => {
    const facts = await checkServer(redis, { partitions: options.partitions })
    for (const one of all) {
      await checkSettings(one)
      await dropOtherLibraries(one)
    }
    await Promise.all(partitions.all.map(raise))
    return facts
  }
  const facts = await whenServing(prepare, { timeoutMs })
  return { redis, facts, partitions, problem: connections.problem, disconnect: connections.disconnect }
}

export interface Platform extends OpenRedis {
  readonly subscriber: Redis
  readonly registry: RegistryView
  readonly durability: DurabilityView
  /** For what fails in the background. A lost connection is the connection's own news. */
  onError(error: unknown): void
  /** Follow nothing any more and let the connections go. */
  close(): void
}

/** What an app that works with queues starts with: Redis, its wake-ups, and the registry as it changes. */
export async function joinPlatform(options: RedisOptions): Promise<Platform> {
  const { url, role, logger } = options
  const onError = (error: unknown) => {
    if (!isConnectionError(error)) logger.error({ event: 'background.failed', err: error }, 'background duty failed')
  }
  const onReconnect = () => options.onReconnect?.('wakeups')
  const subscriber = connectSubscriber({ url, role: `${role}-follow`, log: logger, onReconnect })
  subscriber.setMaxListeners(0)
  const open = await openRedis(options)
  const registry = await followRegistry({ redis: open.redis, subscriber, onError })
  const durability = await watchDurability([...new Set(open.partitions.all.map(({ redis }) => redis))])
  return {
    ...{ ...open, subscriber, registry, durability, onError },
    close() {
      registry.stop()
      durability.stop()
      open.disconnect()
      subscriber.disconnect()
    },
  }
}

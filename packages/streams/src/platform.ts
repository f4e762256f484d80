import type { Redis } from 'ioredis'
import { type ConnectionLog, connect, connectSubscriber, isConnectionError, whenReady } from './connection.ts'
import { createPartitions, type Partitions } from './partition.ts'
import { followRegistry, type RegistryView } from './registry.ts'
import { checkServer, type ServerFacts } from './server-check.ts'

export interface PlatformLog extends ConnectionLog {
  error(fields: Record<string, unknown>, message: string): void
}

export interface RedisOptions {
  readonly url: string
  /** What the connection is called in Redis and in the log: the app's name. */
  readonly role: string
  readonly partitions: number
  readonly logger: PlatformLog
  /** How long a Redis that is still starting is waited for. */
  readonly timeoutMs: number
  /** A connection was lost, and stands again: that of the commands, or of the wake-ups. */
  onReconnect?(connection: 'commands' | 'wakeups'): void
}

export interface OpenRedis {
  readonly redis: Redis
  readonly facts: ServerFacts
  readonly partitions: Partitions
}

/**
 * Connect to a Redis that is fit for Millrace.
 *
 * @throws UnfitServerError when it could lose jobs or has another number of partitions; Error when it does not answer in time.
 */
export async function openRedis(options: RedisOptions): Promise<OpenRedis> {
  const { url, role, partitions, logger, timeoutMs } = options
  const redis = connect({ url, role, log: logger, onReconnect: () => options.onReconnect?.('commands') })
  // Each runner and route listens to it; there is no number of them that would be a leak.
  redis.setMaxListeners(0)
  await whenReady(redis, { timeoutMs })
  const facts = await checkServer(redis, { partitions })
  return { redis, facts, partitions: createPartitions(redis, partitions) }
}

export interface Platform extends OpenRedis {
  readonly subscriber: Redis
  readonly registry: RegistryView
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
  return {
    ...{ ...open, subscriber, registry, onError },
    close() {
      registry.stop()
      open.redis.disconnect()
      subscriber.disconnect()
    },
  }
}

import { createPartitions } from '@millrace/streams'
import {
  type RedisCluster,
  type RedisSentinels,
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from '@millrace/testkit'
import type { Redis } from 'ioredis'
import { redisKind } from './redis-kinds.ts'

/** So that each primary has some of them. */
const CLUSTER_PARTITIONS = 16
/** A primary that is silent for so long is taken for dead. Less, and a busy machine has failovers that no test asked for. */
const TAKEN_FOR_DEAD_MS = 2000

/**
 * Redis as this run has it: one server, a cluster of six, or a primary and its replica behind three sentinels. A test that asks for keys
 * asks for the server that has them.
 */
export interface StoreServer {
  /** As `REDIS_URL` and the SDK take it. */
  readonly url: string
  /** What every app and command is told of it. */
  readonly env: Readonly<Record<'REDIS_URL' | 'MILLRACE_PARTITIONS', string>>
  /** How many replicas each primary has. */
  readonly replicas: 0 | 1
  /** What the keys of a queue begin with: `{p0}`. */
  tagOf(address: string): string
  /** Of the one server, or of each primary; closed by `stop()`. */
  clients(): Promise<Redis[]>
  /** Of whoever has this key now. */
  clientOf(key: string): Promise<Redis>
  /** Removes all data, keeps the servers. */
  flush(): Promise<void>
  /**
   * `kill -9` of whoever has this key now. The answer starts it again: at once where nobody stands in for it, else as a replica of the one
   * that took over.
   */
  killPrimaryOf(key: string): Promise<() => Promise<void>>
  /** `kill -9`, of all servers there are. */
  killAll(): Promise<void>
  /** Whoever connects from now on has to show these; the answer is the URL that does. */
  lock(passwords: { readonly redis: string; readonly sentinel: string }): Promise<string>
  stop(): Promise<void>
}

export async function startStore(options: { readonly appendonly?: boolean } = {}): Promise<StoreServer> {
  const kind = redisKind()
  switch (kind) {
    case 'single':
      return ofServer(await startRedis(options))
    case 'cluster':
      return ofCluster(await startRedisCluster({ ...options, nodeTimeoutMs: TAKEN_FOR_DEAD_MS }))
    case 'sentinel':
      return ofSentinels(await startRedisSentinels({ ...options, downAfterMs: TAKEN_FOR_DEAD_MS }))
    default:
      return kind satisfies never
  }
}

function ofServer(server: RedisServer): StoreServer {
  const client = () => server.client()
  return {
    ...{ url: server.url, replicas: 0, ...tellingOf(server.url, 1) },
    clients: async () => [client()],
    clientOf: async () => client(),
    flush: () => server.flush(),
    async killPrimaryOf() {
      await server.kill()
      return () => server.restart()
    },
    killAll: () => server.kill(),
    async lock({ redis }) {
      await askForPassword([client()], redis)
      return withLogin(server.url, redis)
    },
    stop: () => server.stop(),
  }
}

function ofCluster(cluster: RedisCluster): StoreServer {
  const clients = async () => (await cluster.primaries()).map((node) => node.client())
  return {
    ...{ url: cluster.url, replicas: 1, ...tellingOf(cluster.url, CLUSTER_PARTITIONS), clients },
    clientOf: async (key) => (await cluster.primaryOf(key)).client(),
    async flush() {
      await Promise.all((await cluster.primaries()).map((node) => node.flush()))
    },
    killPrimaryOf: (key) => cluster.killPrimaryOf(key),
    async killAll() {
      await Promise.all(cluster.nodes.map((node) => node.kill()))
    },
    async lock({ redis }) {
      await askForPassword(await clients(), redis)
      return withLogin(cluster.url, redis)
    },
    stop: () => cluster.stop(),
  }
}

function ofSentinels(watched: RedisSentinels): StoreServer {
  const client = async () => (await watched.primary()).client()
  return {
    ...{ url: watched.url, replicas: 1, ...tellingOf(watched.url, 1) },
    clients: async () => [await client()],
    clientOf: client,
    flush: async () => (await watched.primary()).flush(),
    async killPrimaryOf() {
      const restart = await watched.killPrimary()
      return () => restart({ asReplica: true })
    },
    killAll: () => watched.killAll(),
    async lock({ redis, sentinel }) {
      await askForPassword([await client()], redis)
      await watched.setSentinelPassword(sentinel)
      return `${withLogin(watched.url, redis)}?sentinel_password=${sentinel}`
    },
    stop: () => watched.stop(),
  }
}

function tellingOf(url: string, count: number): Pick<StoreServer, 'env' | 'tagOf'> {
  const { of } = createPartitions(noConnection, count)
  return {
    env: { REDIS_URL: url, MILLRACE_PARTITIONS: String(count) },
    tagOf: (address) => `{p${of(address).number}}`,
  }
}

function noConnection(): never {
  throw new Error('Only the number of a partition is asked for here.')
}

/** Connections that are there go on, those of replicas and sentinels among them. */
async function askForPassword(clients: readonly Redis[], password: string): Promise<void> {
  await Promise.all(clients.map((client) => client.config('SET', 'requirepass', password)))
}

function withLogin(url: string, password: string): string {
  return url.replace('://', `://default:${password}@`)
}

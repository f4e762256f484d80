import { createPartitions } from '@millrace/streams'
import { type RedisCluster, type RedisServer, startRedis, startRedisCluster } from '@millrace/testkit'
import type { Redis } from 'ioredis'

/** So that each primary has some of them. */
const CLUSTER_PARTITIONS = 16

/** Redis as this run has it: one server, or a cluster of six. A test that asks for keys asks for the server that has them. */
export interface StoreServer {
  /** As `REDIS_URL` and the SDK take it. */
  readonly url: string
  /** What every app and command is told of it. */
  readonly env: Readonly<Record<'REDIS_URL' | 'MILLRACE_PARTITIONS', string>>
  /** What the keys of a queue begin with: `{p0}`. */
  tagOf(address: string): string
  /** Of the one server, or of each primary; closed by `stop()`. */
  clients(): Promise<Redis[]>
  /** Of whoever has this key now. */
  clientOf(key: string): Promise<Redis>
  /** Removes all data, keeps the servers. */
  flush(): Promise<void>
  /** `kill -9`, of all servers there are. */
  kill(): Promise<void>
  stop(): Promise<void>
}

/** Whether this run is the one on a cluster: the projects of the vitest configurations say it. */
export const isOnCluster = () => process.env.TEST_REDIS_KIND === 'cluster'

export async function startStore(options: { readonly appendonly?: boolean } = {}): Promise<StoreServer> {
  return isOnCluster() ? ofCluster(await startRedisCluster(options)) : ofServer(await startRedis(options))
}

function ofServer(server: RedisServer): StoreServer {
  const client = () => server.client()
  return {
    ...{ url: server.url, ...tellingOf(server.url, 1) },
    clients: async () => [client()],
    clientOf: async () => client(),
    flush: () => server.flush(),
    kill: () => server.kill(),
    stop: () => server.stop(),
  }
}

function ofCluster(cluster: RedisCluster): StoreServer {
  return {
    ...{ url: cluster.url, ...tellingOf(cluster.url, CLUSTER_PARTITIONS) },
    clients: async () => (await cluster.primaries()).map((node) => node.client()),
    clientOf: async (key) => (await cluster.primaryOf(key)).client(),
    async flush() {
      await Promise.all((await cluster.primaries()).map((node) => node.flush()))
    },
    async kill() {
      await Promise.all(cluster.nodes.map((node) => node.kill()))
    },
    stop: () => cluster.stop(),
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

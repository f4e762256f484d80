import { type Connections, openConnections } from '@millrace/streams'
import {
  type FaultProxy,
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from '@millrace/testkit'
import type { Random } from './random.ts'

export const DEPLOYMENTS = ['single', 'cluster', 'sentinel'] as const
export type DeploymentKind = (typeof DEPLOYMENTS)[number]

/** Redis as a run has it: one server, or several that take over from each other. */
export interface Deployment {
  readonly kind: DeploymentKind
  /** As `REDIS_URL` has it. */
  readonly url: string
  readonly partitions: number
  /** The one server, or any of several. */
  readonly server: RedisServer
  /** Connections for looking at what is there. */
  look(): Connections
  /** `kill -9` of a primary that has partitions; the answer starts it again, once another one has taken over and is told everything. */
  killPrimary(random: Random): Promise<() => Promise<void>>
  /** The network of a primary that has partitions, on a cluster: everybody comes through it but the other nodes. */
  network(random: Random): Promise<Network>
  /** Moves the slot of a partition to another node, key by key, while work goes on. */
  moveSlot(random: Random): Promise<void>
  stop(): Promise<void>
}

export interface Network {
  readonly proxy: FaultProxy
  /** Resolves when replicas have what their primaries have, as before. */
  untilWhole(): Promise<void>
}

const DURABLE = { appendonly: true, appendfsync: 'always' } as const
const CLUSTER_PARTITIONS = 16

export function startDeployment(kind: DeploymentKind): Promise<Deployment> {
  switch (kind) {
    case 'single':
      return startSingle()
    case 'cluster':
      return startClustered()
    case 'sentinel':
      return startWatched()
    default:
      return kind satisfies never
  }
}

async function startSingle(): Promise<Deployment> {
  const server = await startRedis(DURABLE)
  return {
    ...{ kind: 'single', url: server.url, partitions: 1, server },
    look: () => look(server.url),
    async killPrimary() {
      await server.kill()
      return () => server.restart()
    },
    network: noNetwork,
    moveSlot: async () => undefined,
    stop: () => server.stop(),
  }
}

async function startClustered(): Promise<Deployment> {
  const cluster = await startRedisCluster({ ...DURABLE, nodeTimeoutMs: 1000, proxied: true })
  const { url } = cluster
  const anyLog = (random: Random) => `{p${Math.floor(random.between(0, CLUSTER_PARTITIONS - 0.001))}}:log`
  return {
    ...{ kind: 'cluster', url, partitions: CLUSTER_PARTITIONS, server: cluster.nodes[0] as RedisServer },
    look: () => look(url),
    killPrimary: (random) => cluster.killPrimaryOf(anyLog(random)),
    async network(random) {
      const primary = await cluster.primaryOf(anyLog(random))
      return { proxy: cluster.proxyOf(primary), untilWhole: () => cluster.untilJoined() }
    },
    async moveSlot(random) {
      const log = anyLog(random)
      const from = await cluster.primaryOf(log)
      const others = (await cluster.primaries()).filter((node) => node !== from)
      await cluster.moveSlot(await cluster.slotOf(log), random.pick(others))
    },
    stop: () => cluster.stop(),
  }
}

async function startWatched(): Promise<Deployment> {
  const watched = await startRedisSentinels({ ...DURABLE, downAfterMs: 1000 })
  const { url } = watched
  return {
    ...{ kind: 'sentinel', url, partitions: 1, server: watched.servers[0] as RedisServer },
    look: () => look(url),
    killPrimary: () => watched.killPrimary(),
    network: noNetwork,
    moveSlot: async () => undefined,
    stop: () => watched.stop(),
  }
}

/** On one server each process has a network of its own; sentinels tell the addresses of the servers themselves. */
async function noNetwork(): Promise<never> {
  throw new Error('Only the nodes of a cluster have a network of their own')
}

function look(url: string): Connections {
  return openConnections({ url, role: 'witness' })
}

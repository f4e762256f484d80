import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { eventually } from './eventually.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { findProgram } from './find-program.ts'
import { type RedisServer, type RedisServerOptions, startRedis } from './redis-server.ts'

const run = promisify(execFile)

export interface RedisClusterOptions extends RedisServerOptions {
  /** Primaries, 3 or more; each has one replica. */
  readonly primaries?: number
  /** A node that is silent for so long is taken for dead. */
  readonly nodeTimeoutMs?: number
  /**
   * Each node announces the port of a proxy in front of it, so that clients and its replica come that way; nodes among themselves
   * (the bus) do not.
   */
  readonly proxied?: boolean
}

/** A Redis Cluster of the test's own: so many primaries, each with a replica, all on 127.0.0.1. */
export interface RedisCluster {
  /** `redis+cluster://127.0.0.1:<port>,…` with all nodes. */
  readonly url: string
  readonly nodes: readonly RedisServer[]
  /** The node that is the primary of this key's slot now. */
  primaryOf(key: string): Promise<RedisServer>
  /**
   * `kill -9` of the primary of this key's slot; the answer starts it again as a replica, once another one has taken over and is in step
   * with it.
   */
  killPrimaryOf(key: string): Promise<() => Promise<void>>
  /** What stands in front of a node, where the cluster is `proxied`. */
  proxyOf(node: RedisServer): FaultProxy
  /** The nodes that are primaries with slots now. */
  primaries(): Promise<RedisServer[]>
  slotOf(key: string): Promise<number>
  /**
   * Moves a slot as `redis-cli --cluster reshard` does, key by key; `whileOpen` runs when all of its keys are still here, and again
   * when the first one is over there.
   */
  moveSlot(slot: number, to: RedisServer, whileOpen?: () => Promise<void>): Promise<void>
  /** Resolves when every node knows all the others, and every replica has what its primary has. */
  untilJoined(): Promise<void>
  stop(): Promise<void>
}

const JOIN_MS = 60_000
const TAKE_OVER_MS = 60_000
const MIGRATE_MS = 30_000
const MOVE_BATCH = 100

/** @throws Error naming the install command when redis-cli is not on PATH. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { primaries = 3, nodeTimeoutMs = 2000, proxied = false, ...server } = options
  const cli = findProgram(
    ['redis-cli', 'valkey-cli'],
    'redis-cli is not on PATH, and a cluster is joined with it: it comes with redis-tools.',
  )
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-node-timeout': String(nodeTimeoutMs),
    // A replica that was cut off for a moment may still stand for election: here there is no other.
    'cluster-replica-validity-factor': '0',
    'repl-diskless-sync-delay': '0',
    // A replica whose connection has gone dead asks anew after five seconds, not after a minute.
    ...{ 'repl-ping-replica-period': '1', 'repl-timeout': '5' },
    ...server.settings,
  }
  const start = () => startNode({ ...server, settings }, proxied)
  const members = await Promise.all(Array.from({ length: primaries * 2 }, start))
  const cluster = new RunningCluster(members)
  try {
    const hosts = members.map(({ node }) => `127.0.0.1:${node.port}`)
    await run(cli, ['--cluster', 'create', ...hosts, '--cluster-replicas', '1', '--cluster-yes'])
    await cluster.untilJoined()
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

/** A node, and what clients are sent to in its place. */
interface Member {
  readonly node: RedisServer
  readonly proxy: FaultProxy | undefined
}

async function startNode(server: RedisServerOptions, proxied: boolean): Promise<Member> {
  if (!proxied) return { node: await startRedis(server), proxy: undefined }
  const started: { node?: RedisServer } = {}
  const proxy = await startFaultProxy({ targetPort: () => started.node?.port ?? 0 })
  started.node = await startRedis({
    ...server,
    settings: { ...server.settings, 'cluster-announce-port': String(proxy.port) },
  })
  return { node: started.node, proxy }
}

class RunningCluster implements RedisCluster {
  readonly url: string
  readonly nodes: readonly RedisServer[]
  readonly #members: readonly Member[]

  constructor(members: readonly Member[]) {
    this.#members = members
    this.nodes = members.map(({ node }) => node)
    this.url = `redis+cluster://${members.map((member) => `127.0.0.1:${announcedPort(member)}`).join(',')}`
  }

  proxyOf(node: RedisServer): FaultProxy {
    const proxy = this.#members.find((member) => member.node === node)?.proxy
    if (!proxy) throw new Error('Nothing stands in front of the nodes of this cluster: start it with proxied')
    return proxy
  }

  async untilJoined(): Promise<void> {
    await eventually(async () => (await Promise.all(this.nodes.map((node) => this.#isJoined(node)))).every(Boolean), {
      ...{ timeoutMs: JOIN_MS, intervalMs: 50, what: 'the cluster to be joined' },
    })
  }

  async #isJoined(node: RedisServer): Promise<boolean> {
    const [state, role, slots] = await ask(node, (redis) =>
      Promise.all([redis.cluster('INFO'), redis.info('replication'), redis.cluster('SLOTS')]),
    )
    // A node names a replica to clients once that has told it how far it is.
    const named = new Set(slots.flatMap(([, , ...nodes]) => nodes.map(([, port]) => port)))
    return (
      /^cluster_state:ok/m.test(String(state)) &&
      named.size === this.nodes.length &&
      /^(master_link_status:up|slave0:.*state=online)/m.test(role)
    )
  }

  async primaryOf(key: string): Promise<RedisServer> {
    const slot = await this.slotOf(key)
    const { ranges } = await this.#view()
    const range = ranges.find(({ first, last }) => first <= slot && slot <= last)
    return this.#nodeAt(range?.port)
  }

  async killPrimaryOf(key: string): Promise<() => Promise<void>> {
    const primary = await this.primaryOf(key)
    await primary.kill()
    return async () => {
      await eventually(async () => (await this.primaryOf(key)) !== primary, {
        ...{ timeoutMs: TAKE_OVER_MS, intervalMs: 50, what: 'the replica to take over' },
      })
      await primary.restart()
      await this.untilJoined()
    }
  }

  async primaries(): Promise<RedisServer[]> {
    const { ranges } = await this.#view()
    return [...new Set(ranges.map(({ port }) => port))].map((port) => this.#nodeAt(port))
  }

  slotOf(key: string): Promise<number> {
    return this.#askAny((redis) => redis.cluster('KEYSLOT', key))
  }

  async moveSlot(slot: number, to: RedisServer, whileOpen?: () => Promise<void>): Promise<void> {
    const { ranges } = await this.#view()
    const from = this.#nodeAt(ranges.find(({ first, last }) => first <= slot && slot <= last)?.port)
    if (from === to) return
    const [fromId, toId] = await Promise.all([idOf(from), idOf(to)])
    await ask(to, (redis) => redis.cluster('SETSLOT', slot, 'IMPORTING', fromId))
    await ask(from, (redis) => redis.cluster('SETSLOT', slot, 'MIGRATING', toId))
    await whileOpen?.()
    let open = whileOpen
    for (;;) {
      const keys = await ask(from, (redis) => redis.cluster('GETKEYSINSLOT', slot, open ? 1 : MOVE_BATCH))
      if (keys.length === 0) break
      // A cluster that has just lost a primary takes no command until it has another.
      await eventually(
        () =>
          ask(from, (redis) => redis.migrate('127.0.0.1', to.port, '', 0, MIGRATE_MS, 'KEYS', ...(keys as string[]))),
        { intervalMs: 100, what: `${keys.length} keys to be moved` },
      )
      await open?.()
      open = undefined
    }
    // The new owner first, then the old one, then everybody: the order that leaves no node without an answer.
    for (const node of [to, from, ...(await this.primaries()).filter((each) => each !== to && each !== from)]) {
      await ask(node, (redis) => redis.cluster('SETSLOT', slot, 'NODE', toId))
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.flatMap(({ node, proxy }) => [node.stop(), proxy?.stop()]))
  }

  async #view() {
    const reply = await this.#askAny((redis) => redis.cluster('SLOTS'))
    return { ranges: reply.map(([first, last, primary]) => ({ first, last, port: primary?.[1] })) }
  }

  #nodeAt(port: number | undefined): RedisServer {
    const found = this.#members.find((member) => announcedPort(member) === port)
    if (!found) throw new Error(`No node of this cluster has port ${port}`)
    return found.node
  }

  async #askAny<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    let last: unknown
    for (const node of this.nodes) {
      try {
        return await ask(node, question)
      } catch (error) {
        last = error
      }
    }
    throw last
  }
}

function announcedPort({ node, proxy }: Member): number {
  return proxy?.port ?? node.port
}

async function idOf(node: RedisServer): Promise<string> {
  return (await ask(node, (redis) => redis.cluster('MYID'))) as string
}

async function ask<T>({ port }: RedisServer, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ host: '127.0.0.1', port, retryStrategy: null, enableReadyCheck: false })
  redis.on('error', () => undefined)
  try {
    return await question(redis)
  } finally {
    redis.disconnect()
  }
}

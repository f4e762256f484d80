import { randomInt } from 'node:crypto'
import type { HostAndPort, RedisAddress } from '@millrace/contracts'
import { Redis, type RedisOptions } from 'ioredis'

export type ClusterAddress = Extract<RedisAddress, { kind: 'cluster' }>

export interface ClusterNode extends HostAndPort {
  readonly role: 'primary' | 'replica'
}

/** Which server has what, as some node of the cluster says it now. */
export interface Topology {
  /** The primary of a key's slot; while nobody can be asked the one that was it last, or any that was named. */
  primaryOf(key: string): Promise<HostAndPort>
  /** A node that answered just now, another one each time. */
  anyNode(): Promise<HostAndPort>
  /** All nodes that have slots, primaries first. @throws Error when none of them can be asked. */
  nodes(): Promise<readonly ClusterNode[]>
}

interface Known {
  readonly slots: readonly SlotRange[]
  readonly nodes: readonly ClusterNode[]
}

interface SlotRange {
  readonly first: number
  readonly last: number
  readonly primary: HostAndPort
}

type SlotsReply = [first: number, last: number, ...nodes: [host: string | null, port: number, ...unknown[]][]][]

/** A node that is asked and says nothing for so long is passed over: it may stand still, and the next one knows as much. */
const ASK_MS = 1000

const topologies = new Map<string, Topology>()

/** The topology of the cluster behind a URL: one for all connections of the process, which ask it at the same time when a node dies. */
export function topologyOf(url: string, address: ClusterAddress): Topology {
  const known = topologies.get(url) ?? createTopology(address)
  topologies.set(url, known)
  return known
}

/** How every node of a cluster is logged in to. */
export function loginOf({ tls, username, password }: ClusterAddress): RedisOptions {
  return { ...(tls && { tls: {} }), ...(username && { username }), ...(password && { password }) }
}

function createTopology(address: ClusterAddress): Topology {
  const slotOfKey = new Map<string, number>()
  let known: Known = { slots: [], nodes: [] }
  let asking: Promise<void> | undefined

  const ask = async () => {
    // Another one first each time: a node that was cut off from the rest still answers, with what was true before.
    const candidates = unique([...known.nodes, ...address.nodes])
    const start = randomInt(candidates.length)
    let lastError: unknown
    for (let tries = 0; tries < candidates.length; tries++) {
      const node = candidates[(start + tries) % candidates.length] as HostAndPort
      try {
        known = readSlots(await askNode(node, address, (redis) => redis.cluster('SLOTS') as Promise<SlotsReply>), node)
        return
      } catch (error) {
        lastError = error
      }
    }
    throw lastError
  }
  const refresh = () => {
    asking ??= ask().finally(() => {
      asking = undefined
    })
    return asking
  }
  const slotOf = async (key: string) => {
    const slot = slotOfKey.get(key)
    if (slot !== undefined) return slot
    const node = known.nodes[0] ?? (address.nodes[0] as HostAndPort)
    const asked = await askNode(node, address, (redis) => redis.cluster('KEYSLOT', key))
    slotOfKey.set(key, asked)
    return asked
  }
  const anyKnown = () => {
    const nodes: readonly HostAndPort[] = known.nodes.length > 0 ? known.nodes : address.nodes
    return nodes[randomInt(nodes.length)] as HostAndPort
  }

  return {
    async primaryOf(key) {
      // Whoever cannot be told is sent to the last primary, finds it dead or is told MOVED, and comes again.
      await refresh().catch(() => undefined)
      const slot = await slotOf(key).catch(() => -1)
      return known.slots.find(({ first, last }) => first <= slot && slot <= last)?.primary ?? anyKnown()
    },
    async anyNode() {
      await refresh().catch(() => undefined)
      return anyKnown()
    },
    async nodes() {
      await refresh()
      return known.nodes
    },
  }
}

async function askNode<T>(node: HostAndPort, address: ClusterAddress, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({
    ...{ host: node.host, port: node.port, ...loginOf(address) },
    ...{ connectTimeout: ASK_MS, commandTimeout: ASK_MS, retryStrategy: null, connectionName: 'millrace-topology' },
    // A node that loads its data knows its place in the cluster all the same.
    enableReadyCheck: false,
  })
  redis.on('error', () => undefined)
  try {
    return await ask(redis)
  } finally {
    redis.disconnect()
  }
}

function readSlots(reply: SlotsReply, asked: HostAndPort): Known {
  const slots = reply.map(([first, last, ...nodes]): SlotRange & { nodes: HostAndPort[] } => {
    // A node that does not know its own name leaves it out: it is the one that was asked.
    const named = nodes.map(([host, port]) => ({ host: host || asked.host, port }))
    return { first, last, primary: named[0] as HostAndPort, nodes: named }
  })
  if (slots.length === 0)
    throw new Error('The cluster has no slots yet: join its nodes with redis-cli --cluster create')
  const primaries = unique(slots.map(({ primary }) => primary))
  const replicas = unique(slots.flatMap(({ nodes }) => nodes.slice(1)))
  return {
    slots,
    nodes: [
      ...primaries.map((node) => ({ ...node, role: 'primary' as const })),
      ...replicas.map((node) => ({ ...node, role: 'replica' as const })),
    ],
  }
}

function unique(nodes: readonly HostAndPort[]): HostAndPort[] {
  return [...new Map(nodes.map(({ host, port }) => [`${host}:${port}`, { host, port }])).values()]
}

import type { StatedDurability } from '@millrace/contracts'
import type { Redis } from 'ioredis'

/** What the server does with what it has accepted, as it was when it was last asked. */
export interface DurabilityView {
  now(): StatedDurability
  /** Ask at once, instead of within five seconds. */
  refresh(): Promise<void>
  stop(): void
}

/** Settings may be changed while the server runs, and replicas come and go: an answer is at most so old. */
const REFRESH_MS = 5000
const UNKNOWN: StatedDurability = { durability: 'unknown' }

/**
 * Follow what the servers behind these connections promise of an accepted write, so that answers can say it: of several the least
 * that one of them does. From a lost connection until the next one has been asked nothing is known: after a failover it is another
 * server, with settings of its own.
 */
export async function watchDurability(connections: readonly Redis[]): Promise<DurabilityView> {
  const views = await Promise.all(connections.map(watchServer))
  return {
    now: () => views.map((view) => view.now()).reduce(lesser),
    async refresh() {
      await Promise.all(views.map((view) => view.refresh()))
    },
    stop() {
      for (const view of views) view.stop()
    },
  }
}

const FROM_LEAST: readonly StatedDurability['durability'][] = ['unknown', 'memory', 'everysec', 'fsync']

/** What holds of both. */
function lesser(one: StatedDurability, other: StatedDurability): StatedDurability {
  const durability = FROM_LEAST[Math.min(FROM_LEAST.indexOf(one.durability), FROM_LEAST.indexOf(other.durability))]
  if (durability === undefined || one.replicas === undefined || other.replicas === undefined) return UNKNOWN
  return { durability, replicas: Math.min(one.replicas, other.replicas) }
}

async function watchServer(redis: Redis): Promise<DurabilityView> {
  let stated = UNKNOWN
  let connections = 0
  const refresh = async () => {
    const asked = connections
    const read = await readDurability(redis).catch(() => UNKNOWN)
    // What was asked of a connection that is gone says nothing of the next.
    if (asked === connections) stated = read
  }
  const forget = () => {
    connections++
    stated = UNKNOWN
  }
  // First among the commands of a new connection, so that it is answered before any write is.
  const onReady = () => void refresh()
  redis.on('close', forget)
  redis.on('ready', onReady)
  await refresh()
  const timer = setInterval(() => void refresh(), REFRESH_MS).unref()
  return {
    now: () => stated,
    refresh,
    stop() {
      clearInterval(timer)
      redis.off('close', forget)
      redis.off('ready', onReady)
    },
  }
}

/**
 * `memory`: a restart loses it, for want of an append-only file or of anybody who tells it when to write. Replicas are those that
 * are in step: Redis passes a write on to them without waiting for it.
 */
export async function readDurability(redis: Redis): Promise<StatedDurability> {
  const [info, fsync] = await Promise.all([redis.info('persistence', 'replication'), readFsync(redis)])
  const replicas = info.match(/^slave\d+:.*\bstate=online\b/gm)?.length ?? 0
  return { durability: /^aof_enabled:0/m.test(info) ? 'memory' : fsync, replicas }
}

async function readFsync(redis: Redis): Promise<StatedDurability['durability']> {
  try {
    const [, fsync] = (await redis.config('GET', 'appendfsync')) as string[]
    if (fsync === undefined) return 'unknown'
    if (fsync === 'always') return 'fsync'
    return fsync === 'everysec' ? 'everysec' : 'memory'
  } catch {
    // Managed servers forbid CONFIG; then the answer to a producer says that it does not know.
    return 'unknown'
  }
}

import type { Replay } from '@millrace/contracts'
import type { Partition, Partitions } from '@millrace/streams'

/** A replay with how far it is; kept beside the subscription that it goes into. */
export interface StoredReplay extends Replay {
  readonly address: string
  /** Behind which position of each log it goes on, and with which it ends, by the partition's number. */
  readonly positions: Readonly<Record<string, string>>
  readonly ends: Readonly<Record<string, string>>
  /** Not before then, for its rate. */
  readonly nextAtMs: number
}

/** An ended one is remembered for so long. */
const REMEMBER_MS = 30 * 86_400_000

export async function saveReplay(partition: Partition, replay: StoredReplay): Promise<void> {
  await partition.redis.hset(partition.keys.replays, replay.id, JSON.stringify(replay))
}

export async function readReplays(partition: Partition): Promise<StoredReplay[]> {
  const stored = await partition.redis.hgetall(partition.keys.replays)
  return Object.values(stored).map((text) => JSON.parse(text) as StoredReplay)
}

export async function findReplay(partitions: Partitions, id: string) {
  for (const partition of partitions.all) {
    const text = await partition.redis.hget(partition.keys.replays, id)
    if (text) return { partition, replay: JSON.parse(text) as StoredReplay }
  }
  return undefined
}

export async function forgetOld(partition: Partition, replays: readonly StoredReplay[], nowMs: number): Promise<void> {
  const old = replays.filter(({ endedAt }) => endedAt !== undefined && Date.parse(endedAt) < nowMs - REMEMBER_MS)
  if (old.length > 0) await partition.redis.hdel(partition.keys.replays, ...old.map(({ id }) => id))
}

export function toReplay(stored: StoredReplay): Replay {
  const { id, subscription, state, from, to, ratePerSecond, replayed, looked, erased, startedAt, endedAt } = stored
  return {
    id,
    subscription,
    state,
    from,
    to,
    ratePerSecond,
    replayed,
    looked,
    erased,
    startedAt,
    ...(endedAt && { endedAt }),
  }
}

import { parsePosition } from '@millrace/contracts'
import type { Partition } from './partition.ts'

/** How far the log of one partition was put into the subscriptions of another. */
export interface RoutedPosition {
  readonly position: string
  readonly entriesRead: number
}

/** A subscription that reads on its own. */
export interface Behind {
  readonly address: string
  readonly source: number
  readonly position: string
}

/** Where the log of a partition ends: its last entry, and how many it ever had. */
export async function logEnd({ redis, keys }: Partition): Promise<RoutedPosition> {
  try {
    const info = (await redis.xinfo('STREAM', keys.log)) as (string | number)[]
    const field = (name: string) => info[info.indexOf(name) + 1]
    return { position: String(field('last-generated-id')), entriesRead: Number(field('entries-added')) }
  } catch (error) {
    // Nothing was ever written to it.
    if (error instanceof Error && error.message.includes('no such key')) return { position: '0-0', entriesRead: 0 }
    throw error
  }
}

/** Where a log that was trimmed begins. */
export interface LogStart {
  /** The position just before its first entry: facts up to here may be gone, those behind are all there. */
  readonly before: string
  /** How many entries were trimmed. */
  readonly trimmed: number
}

/** Where a log begins now; undefined while it still has everything that was ever in it. */
export async function logStart({ redis, keys }: Partition): Promise<LogStart | undefined> {
  const info = await redis.xinfo('STREAM', keys.log).catch((error: unknown) => {
    if (error instanceof Error && error.message.includes('no such key')) return undefined
    throw error
  })
  if (!info) return undefined
  const fields = info as (string | number)[]
  const field = (name: string) => fields[fields.indexOf(name) + 1]
  const length = Number(field('length'))
  const trimmed = Number(field('entries-added')) - length
  if (trimmed <= 0) return undefined
  const last = String(field('last-generated-id'))
  if (length === 0) return { before: last, trimmed }
  const { ms, seq } = parsePosition(String(field('recorded-first-entry-id')))
  return { before: seq > 0 ? `${ms}-${seq - 1}` : `${ms - 1}-${Number.MAX_SAFE_INTEGER}`, trimmed }
}

/** The positions between which a log lies, and the memory that it takes; undefined while it is empty. */
export async function logSpan({
  redis,
  keys,
}: Partition): Promise<{ first: string; last: string; bytes: number } | undefined> {
  const [[first], [last], bytes] = await Promise.all([
    redis.xrange(keys.log, '-', '+', 'COUNT', 1),
    redis.xrevrange(keys.log, '+', '-', 'COUNT', 1),
    redis.memory('USAGE', keys.log, 'SAMPLES', 5),
  ])
  return first && last && { first: first[0], last: last[0], bytes: bytes ?? 0 }
}

/** The position of the last entry of each partition's log, by its number. */
export async function logEnds(partitions: readonly Partition[]): Promise<Record<string, string>> {
  const ends = await Promise.all(partitions.map(logEnd))
  return Object.fromEntries(partitions.map(({ number }, index) => [String(number), ends[index]!.position]))
}

/**
 * The common cursor of a log in a partition. Before anything was routed it is made at the log's end: who subscribes reads
 * what lies before it on their own. A full Redis makes none, and is not asked where there is one.
 */
export async function openCursor(partition: Partition, source: Partition): Promise<RoutedPosition> {
  const { redis, keys } = partition
  const field = String(source.number)
  const read = async () => {
    const [position, entriesRead] = await redis.hmget(keys.routed, field, `${field}:read`)
    return position && entriesRead ? { position, entriesRead: Number(entriesRead) } : undefined
  }
  const known = await read()
  if (known) return known
  const end = await logEnd(source)
  // The count first: a cursor without one would be taken for the count of nothing.
  await redis.hsetnx(keys.routed, `${field}:read`, end.entriesRead)
  await redis.hsetnx(keys.routed, field, end.position)
  // Another router may have been quicker.
  return (await read()) ?? end
}

/** The subscriptions of a partition that read on their own, with where they are. */
export async function readBehind({ redis, keys }: Partition): Promise<Behind[]> {
  const fields = await redis.hgetall(keys.behind)
  return Object.entries(fields).map(([field, text]) => {
    const space = field.lastIndexOf(' ')
    return {
      address: field.slice(0, space),
      source: Number(field.slice(space + 1)),
      position: text.split(' ', 1)[0] as string,
    }
  })
}

/** The common cursors of a partition, by the number of the partition whose log they are in. */
export async function readRouted({ redis, keys }: Partition): Promise<Map<number, RoutedPosition>> {
  const fields = await redis.hgetall(keys.routed)
  const cursors = new Map<number, RoutedPosition>()
  for (const [field, position] of Object.entries(fields)) {
    if (!/^\d+$/.test(field)) continue
    cursors.set(Number(field), { position, entriesRead: Number(fields[`${field}:read`] ?? 0) })
  }
  return cursors
}

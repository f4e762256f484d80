import { comparePositions, type DeadLetter, type LastResponse, parseId } from '@millrace/contracts'
import { splitAddress } from './keys.ts'
import type { Partition } from './partition.ts'
import { unpackPayload } from './payload.ts'

/** A letter as it is kept; its fingerprint is a matter of reading it. */
export interface StoredLetter extends Omit<DeadLetter, 'fingerprint'> {
  /** Its place among the letters of its queue; rises with the time of death. */
  readonly entryId: string
  /** The payload as the producer sent it. */
  readonly text: string
}

export interface DeadLetterPage {
  readonly letters: StoredLetter[]
  /** Entry id to continue after, undefined at the end. */
  readonly next?: string
}

export interface LetterRange {
  readonly address: string
  readonly limit: number
  /** Entry id, exclusive. */
  readonly after?: string
  /** Entry id, inclusive. */
  readonly upTo?: string
  /** Time of death, inclusive. */
  readonly sinceMs?: number
  /** Time of death, exclusive. */
  readonly untilMs?: number
}

/** Dead letters of one queue, oldest first, after an entry id. */
export async function listDeadLetters(partition: Partition, range: LetterRange): Promise<DeadLetterPage> {
  const { address, limit } = range
  const { from, to } = boundsOf(range)
  const entries = await partition.redis.xrange(partition.keys.dead(address), from, to, 'COUNT', limit + 1)
  const letters = entries.slice(0, limit).map(([entryId, fields]) => toLetter(address, entryId, fields))
  const last = letters.at(-1)?.entryId
  return entries.length > limit && last ? { letters, next: last } : { letters }
}

function boundsOf({ after, upTo, sinceMs = 0, untilMs }: LetterRange): { from: string; to: string } {
  const since = `${sinceMs}-0`
  const from = after === undefined || comparePositions(after, since) < 0 ? since : `(${after}`
  // Whatever died within a millisecond comes before the first position of the next.
  const until = untilMs === undefined ? '+' : `(${untilMs}-0`
  const to = upTo !== undefined && (untilMs === undefined || comparePositions(upTo, `${untilMs}-0`) < 0) ? upTo : until
  return { from, to }
}

/** The dead letters of these jobs, in their order; undefined where a job is none. */
export async function findDeadLetters(
  partition: Partition,
  ids: readonly string[],
): Promise<(StoredLetter | undefined)[]> {
  if (ids.length === 0) return []
  const { redis, keys } = partition
  const places = await redis.hmget(keys.deadIndex, ...ids)
  return Promise.all(
    places.map(async (place) => {
      const [address, entryId] = place?.split(' ') ?? []
      if (address === undefined || entryId === undefined) return undefined
      const [entry] = await redis.xrange(keys.dead(address), entryId, entryId)
      return entry && toLetter(address, entryId, entry[1])
    }),
  )
}

/** The entry id of the newest dead letter of a queue. */
export async function newestDeadLetter(partition: Partition, address: string): Promise<string | undefined> {
  const [entry] = await partition.redis.xrevrange(partition.keys.dead(address), '+', '-', 'COUNT', 1)
  return entry?.[0]
}

function toLetter(address: string, entryId: string, fields: string[]): StoredLetter {
  // The fields in the order that `bury` in prelude.lua writes them.
  const [, id, , , , attempts, , , , , , reason, , last, , data] = fields as string[]
  const { namespace, queue } = splitAddress(address)
  const text = unpackPayload(String(data))
  return {
    id: String(id),
    namespace,
    queue,
    reason: String(reason),
    attempts: Number(attempts),
    enqueuedAt: new Date(parseId(String(id))?.ms ?? 0).toISOString(),
    diedAt: new Date(Number(entryId.split('-')[0])).toISOString(),
    data: JSON.parse(text),
    lastResponse: JSON.parse(String(last)) as LastResponse,
    entryId,
    text,
  }
}

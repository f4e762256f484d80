import {
  comparePositions,
  type EventKind,
  idFromPosition,
  JOB_EVENTS,
  LANES,
  type LogEvent,
  parsePosition,
} from '@millrace/contracts'
import type { Redis } from 'ioredis'
import { jobIdFrom } from './digits.ts'
import { hexOf, type Partition } from './partition.ts'
import { unpackEventData, unpackPayload } from './payload.ts'

const WITH_PAYLOAD: ReadonlySet<string> = new Set([JOB_EVENTS.enqueued, JOB_EVENTS.updated])

const LANE_NAMES: ReadonlySet<string> = new Set(LANES)

/** The groups of the platform itself on each log. */
export const LOG_READERS = { audit: 'audit', router: 'router' } as const

export interface LogReaderOptions {
  readonly partition: Partition
  /** A connection of its own: reads block. */
  readonly blocking: Redis
  /** The consumer group whose position marks how far this reader has come, for retention and for lag. */
  readonly group: string
}

export interface ReadOptions {
  readonly after: string
  readonly count: number
  readonly blockMs: number
}

export interface LogPosition {
  readonly position: string
  /** How many entries of the log were read so far, so that lag is a number and never unknown. */
  readonly entriesRead: number
}

/**
 * Reads one partition's log in order.
 *
 * The reader's truth is the cursor that it keeps beside its own results (in one transaction with them); the group in
 * Redis only marks that position, for `trimLog` and for lag. So a crash between the two leaves the mark behind, never
 * ahead: what was folded may be read again and is passed over by the cursor, nothing is skipped, and a group that
 * somebody destroyed is made again from the cursor.
 */
export function createLogReader({ partition, blocking, group }: LogReaderOptions) {
  const { log } = partition.keys
  // Read from Redis and not given out yet; all of it is behind `handedOut`.
  let ahead: LogEvent[] = []
  let handedOut: string | undefined
  // An entry has one fact, or a hundred: found as it goes, so that a batch is about as many facts as were asked for. Before
  // it is known it counts as the most, or the first read of a long log would be a hundred times what was asked for.
  let factsPerEntry: number | undefined

  /** The rest of an entry that a cursor stands in the middle of: XREAD would pass over it. */
  const restOf = async (after: string) => {
    const events = await factsAround(partition, after)
    return events.filter(({ position }) => comparePositions(position, after) > 0)
  }

  const hasGroup = async (): Promise<boolean> => {
    try {
      const groups = (await partition.redis.xinfo('GROUPS', log)) as (string | number)[][]
      return groups.some((fields) => fields[fields.indexOf('name') + 1] === group)
    } catch (error) {
      if (error instanceof Error && error.message.includes('no such key')) return false
      throw error
    }
  }

  return {
    partition,

    /** Make the group, if it is not there, at the position given. A full Redis makes none, and is not asked where there is one. */
    async open({ position, entriesRead }: LogPosition): Promise<void> {
      if (await hasGroup()) return
      try {
        await partition.redis.xgroup('CREATE', log, group, position, 'MKSTREAM', 'ENTRIESREAD', entriesRead)
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('BUSYGROUP'))) throw error
      }
    },

    /** Up to `count` events after a position; an empty list when none came within `blockMs`. */
    async read({ after, count, blockMs }: ReadOptions): Promise<LogEvent[]> {
      if (after !== handedOut) ahead = await restOf(after)
      if (ahead.length === 0) {
        const entriesWanted = Math.min(Math.ceil(count / (factsPerEntry ?? MAX_FACTS)), MAX_ENTRIES)
        const reply = await blocking.xread('COUNT', entriesWanted, 'BLOCK', blockMs, 'STREAMS', log, after)
        const entries = reply?.[0]?.[1] ?? []
        ahead = entries.flatMap(([position, fields]) => toLogEvents(partition.number, position, fields))
        if (entries.length > 0) {
          const facts = entries.reduce((sum, [, fields]) => sum + factsIn(fields), 0)
          factsPerEntry = Math.max(facts / entries.length, (factsPerEntry ?? 1) / 2)
        }
      }
      const events = ahead.length > count ? ahead.slice(0, count) : ahead
      ahead = ahead.length > count ? ahead.slice(count) : []
      handedOut = events.at(-1)?.position ?? after
      return events
    },

    /** Wait until something lies behind a position, or for `blockMs`. */
    async wait({ after, blockMs }: { after: string; blockMs: number }): Promise<void> {
      await blocking.xread('COUNT', 1, 'BLOCK', blockMs, 'STREAMS', log, after)
    },

    /** Move the group's mark to what has been folded and stored. */
    async commit({ position, entriesRead }: LogPosition): Promise<void> {
      try {
        await partition.redis.xgroup('SETID', log, group, position, 'ENTRIESREAD', entriesRead)
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOGROUP'))) throw error
        await this.open({ position, entriesRead })
      }
    },

    /** Entries in the log that are not read yet, and the time of the newest entry (ms). */
    async lag(entriesRead: number): Promise<{ entries: number; newestMs: number }> {
      const info = (await partition.redis.xinfo('STREAM', log)) as (string | number)[]
      const field = (name: string) => info[info.indexOf(name) + 1]
      return {
        entries: Math.max(0, Number(field('entries-added')) - entriesRead),
        newestMs: Number(String(field('last-generated-id')).split('-')[0]),
      }
    },
  }
}
export type LogReader = ReturnType<typeof createLogReader>

/** Events of a range, both ends included; for tests, tools and catching up on one entity. `count` is of entries. */
export async function readLogRange(
  partition: Partition,
  { from = '-', to = '+', count = 1000 } = {},
): Promise<LogEvent[]> {
  const entries = await partition.redis.xrange(partition.keys.log, from, to, 'COUNT', count)
  return entries.flatMap(([position, fields]) => toLogEvents(partition.number, position, fields))
}

/** Events of a range, newest first, both ends included. `count` is of entries. */
export async function readLogBackwards(
  partition: Partition,
  { from = '+', to = '-', count = 1000 } = {},
): Promise<LogEvent[]> {
  const entries = await partition.redis.xrevrange(partition.keys.log, from, to, 'COUNT', count)
  return entries.flatMap(([position, fields]) => toLogEvents(partition.number, position, fields).toReversed())
}

/** The facts of the entry that holds a position, an empty list when there is none. */
async function factsAround(partition: Partition, position: string): Promise<LogEvent[]> {
  const { ms } = parsePosition(position)
  const [entry] = await partition.redis.xrevrange(partition.keys.log, position, `${ms}-0`, 'COUNT', 1)
  return entry ? toLogEvents(partition.number, ...entry) : []
}

/** Kind, type, namespace and queue, which its facts share, then entity and data of each (`facts_of` in prelude.lua). */
const SHARED_FIELDS = 4
const FIELDS_PER_FACT = 2
/** Of an entry, as in prelude.lua. */
const MAX_FACTS = 100
/** Of one read: each may have a payload of the largest size, and all of them are in memory at once. */
const MAX_ENTRIES = 1000
type Shared = [kind: EventKind, type: string, namespace: string, queue: string]

function factsIn(fields: readonly string[]): number {
  // Whoever else wrote into the log, what stands there is one event, and is read as far as it goes.
  return Math.max(1, Math.floor((fields.length - SHARED_FIELDS) / FIELDS_PER_FACT))
}

/** The facts of an entry. */
export function toLogEvents(partition: number, first: string, fields: readonly string[]): LogEvent[] {
  const values = valuesOf(fields)
  const [kind, type, namespace, queue] = values as unknown as Shared
  const { ms, seq } = parsePosition(first)
  const facts = factsIn(values)
  const dataOf = WITH_PAYLOAD.has(type) ? unpackEventData : (data: string) => data
  const isJob = kind === 'job'
  // Facts about many queues: each names its own as its entity.
  const isOfMany = queue === '' && (isJob || kind === 'schedule')
  const mayBePlain = type === JOB_EVENTS.enqueued && !isOfMany
  const events: LogEvent[] = []
  for (let index = 0; index < facts; index++) {
    const position = index === 0 ? first : `${ms}-${seq + index}`
    const at = SHARED_FIELDS + index * FIELDS_PER_FACT
    const entity = values[at] as string
    const data = values[at + 1] as string
    const isPlain = mayBePlain && LANE_NAMES.has(entity)
    events.push({
      position,
      partition,
      kind,
      type,
      namespace,
      queue: isOfMany ? entity : queue,
      entityId: isJob || !entity ? jobIdOf(isPlain || isOfMany ? '' : entity, position, partition) : entity,
      data: isPlain ? `{"lane":"${entity}","data":${unpackPayload(data)}}` : dataOf(data),
      endsEntry: index === facts - 1,
    })
  }
  return events
}

/** In an entry from before 0.1.0 each value has its name before it; without the names it is the same. */
function valuesOf(fields: readonly string[]): readonly string[] {
  return fields[0] === 'kind' ? fields.filter((_field, index) => index % 2 === 1) : fields
}

/**
 * A job is named by its id, by the digits of it, or, in the very fact that it was enqueued, by nothing: the position is its own. Before
 * layout 5 it was named by its position.
 */
function jobIdOf(entity: string | undefined, position: string, partition: number): string {
  if (!entity) return idFromPosition('job', position, partition)
  if (DIGITS.test(entity)) return jobIdFrom(entity, hexOf(partition))
  return POSITION.test(entity) ? idFromPosition('job', entity, partition) : entity
}

const DIGITS = /^[\da-f]{16}$/
const POSITION = /^\d+-\d+$/

import { type EventKind, idFromPosition, type LogEvent } from '@millrace/contracts'
import type { Redis } from 'ioredis'
import type { Partition } from './partition.ts'

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

  return {
    partition,

    /** Make the group, if it is not there, at the position given. */
    async open({ position, entriesRead }: LogPosition): Promise<void> {
      try {
        await partition.redis.xgroup('CREATE', log, group, position, 'MKSTREAM', 'ENTRIESREAD', entriesRead)
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('BUSYGROUP'))) throw error
      }
    },

    /** Up to `count` events after a position; an empty list when none came within `blockMs`. */
    async read({ after, count, blockMs }: ReadOptions): Promise<LogEvent[]> {
      const reply = await blocking.xread('COUNT', count, 'BLOCK', blockMs, 'STREAMS', log, after)
      if (!reply) return []
      return (reply[0]?.[1] ?? []).map(([position, fields]) => toLogEvent(partition.number, position, fields))
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

/** Events of a range, both ends included; for tests, tools and catching up on one entity. */
export async function readLogRange(
  partition: Partition,
  { from = '-', to = '+', count = 1000 } = {},
): Promise<LogEvent[]> {
  const entries = await partition.redis.xrange(partition.keys.log, from, to, 'COUNT', count)
  return entries.map(([position, fields]) => toLogEvent(partition.number, position, fields))
}

function toLogEvent(partition: number, position: string, fields: string[]): LogEvent {
  // The scripts write the six fields in this order (`append` in prelude.lua).
  const [, kind, , type, , namespace, , queue, , entity, , data] = fields as [
    string,
    EventKind,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  return {
    position,
    partition,
    kind,
    type,
    namespace,
    queue,
    entityId: entity || idFromPosition('job', position, partition),
    data,
  }
}

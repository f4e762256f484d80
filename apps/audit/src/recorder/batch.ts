import type { LogEvent } from '@millrace/contracts'
import { type AuditFact, type ChainHead, readFact } from '@millrace/engine'
import type { Cursor } from '../store/cursor.ts'
import type { HeadRow, RecordRow } from '../store/schema.ts'

/** An event of the log with what it states, read once for all that follows. */
export interface Entry {
  readonly event: LogEvent
  readonly fact: AuditFact
}

/** Events of one partition that follow `from` without a gap. */
export interface Batch {
  readonly partition: number
  readonly from: Cursor
  readonly to: Cursor
  /** The place of the first record in the partition's trail: `from.seq`, unless rows are in the way. */
  readonly seq: number
  readonly entries: readonly Entry[]
  /** 16 random bytes in hex for each entry. */
  readonly salts: readonly string[]
}

export interface ChainedBatch {
  readonly records: readonly RecordRow[]
  /** The heads that moved, and those of chains that began. */
  readonly moved: readonly HeadRow[]
  readonly begun: readonly HeadRow[]
}

export type HeadOf = (namespace: string, entityId: string) => ChainHead | undefined

const SALT_BYTES = 16

/** What of a batch can be made before it is known where it goes. */
export type Entries = Pick<Batch, 'entries' | 'salts'>

/** `randomBytes` is handed in: one call serves the whole batch. */
export function readEntries(events: readonly LogEvent[], randomBytes: (count: number) => Buffer): Entries {
  const random = randomBytes(events.length * SALT_BYTES).toString('hex')
  return {
    entries: events.map((event) => ({ event, fact: readFact(event) })),
    salts: events.map((_, index) => random.slice(index * SALT_BYTES * 2, (index + 1) * SALT_BYTES * 2)),
  }
}

export function toBatch({ entries, salts }: Entries, { partition, from }: { partition: number; from: Cursor }): Batch {
  return {
    ...{ partition, from, entries, salts },
    to: {
      position: entries.at(-1)?.event.position ?? from.position,
      entriesRead: from.entriesRead + entries.filter(({ event }) => event.endsEntry).length,
      seq: from.seq + entries.length,
    },
    seq: from.seq,
  }
}

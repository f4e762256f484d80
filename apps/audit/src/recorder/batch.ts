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
  /** The heads that moved. */
  readonly heads: readonly HeadRow[]
}

export type HeadOf = (namespace: string, entityId: string) => ChainHead | undefined

const SALT_BYTES = 16

/** `randomBytes` is handed in: one call serves the whole batch. */
export function toBatch(
  events: readonly LogEvent[],
  { partition, from, randomBytes }: { partition: number; from: Cursor; randomBytes(count: number): Buffer },
): Batch {
  const random = randomBytes(events.length * SALT_BYTES).toString('hex')
  return {
    partition,
    from,
    to: {
      position: events.at(-1)?.position ?? from.position,
      entriesRead: from.entriesRead + events.filter(({ endsEntry }) => endsEntry).length,
      seq: from.seq + events.length,
    },
    seq: from.seq,
    entries: events.map((event) => ({ event, fact: readFact(event) })),
    salts: events.map((_, index) => random.slice(index * SALT_BYTES * 2, (index + 1) * SALT_BYTES * 2)),
  }
}

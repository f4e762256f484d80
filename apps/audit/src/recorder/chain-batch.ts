import type { LogEvent } from '@millrace/contracts'
import { type AuditFact, buildRecord, type ChainHead, GENESIS_HASH, readFact } from '@millrace/engine'
import type { HeadRow, RecordRow } from '../store/schema.ts'
import type { Cursor } from '../store/trail.ts'

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
      entriesRead: from.entriesRead + events.length,
      seq: from.seq + events.length,
    },
    seq: from.seq,
    entries: events.map((event) => ({ event, fact: readFact(event) })),
    salts: events.map((_, index) => random.slice(index * SALT_BYTES * 2, (index + 1) * SALT_BYTES * 2)),
  }
}

/**
 * Give each event its place in the chain of its entity. `headOf` must be asked inside the transaction that will store
 * the records: an entity's chain may also grow from another partition (a service may emit about a job's id), so heads
 * that were kept from an earlier batch could be out of date although this partition's cursor has not moved.
 */
export function chainBatch({ partition, seq, entries, salts }: Batch, headOf: HeadOf): ChainedBatch {
  const heads = new Map<string, { namespace: string; entity_id: string; length: number; hash: string }>()
  const records = entries.map(({ event, fact }, index): RecordRow => {
    const { namespace, entityId, eventType, who, data } = fact
    const key = `${namespace}\0${entityId}`
    let head = heads.get(key)
    if (!head) {
      const { length, hash } = headOf(namespace, entityId) ?? { length: 0, hash: GENESIS_HASH }
      head = { namespace, entity_id: entityId, length, hash }
      heads.set(key, head)
    }
    const place = { chainIndex: head.length, previousHash: head.hash, partition, seq: seq + index }
    const salt = salts[index] as string
    const built = buildRecord({ ...fact, ...place, position: event.position, salt })
    head.length++
    head.hash = built.eventHash
    return {
      event_id: built.eventId,
      partition,
      seq: place.seq,
      namespace,
      entity_id: entityId,
      chain_index: place.chainIndex,
      kind: String(event.kind),
      event_type: eventType,
      who,
      when_ms: built.whenMs,
      record: built.record,
      event_hash: built.eventHash,
      salt,
      data,
    }
  })
  return { records, heads: [...heads.values()] }
}

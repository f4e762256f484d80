import { buildRecord, GENESIS_HASH } from '@millrace/engine'
import type { HeadRow, RecordRow } from '../store/schema.ts'
import type { Batch, ChainedBatch, Entry, HeadOf } from './batch.ts'

export interface Chaining {
  /** The records of the next so many entries, or of those that are left. */
  next(count: number): RecordRow[]
  /** All of them, and their heads. */
  end(): ChainedBatch
}

/**
 * Give each event its place in the chain of its entity. `headOf` must be asked inside the transaction that will store
 * the records: an entity's chain may also grow from another partition (a service may emit about a job's id), so heads
 * that were kept from an earlier batch could be out of date although this partition's cursor has not moved.
 */
export function startChaining({ partition, seq, entries, salts }: Batch, headOf: HeadOf): Chaining {
  const heads = new Map<string, { namespace: string; entity_id: string; length: number; hash: string }>()
  const moved: HeadRow[] = []
  const begun: HeadRow[] = []
  const records: RecordRow[] = []
  const headFor = (namespace: string, entityId: string) => {
    const key = `${namespace}\0${entityId}`
    const known = heads.get(key)
    if (known) return known
    const last = headOf(namespace, entityId)
    const { length, hash } = last ?? { length: 0, hash: GENESIS_HASH }
    const head = { namespace, entity_id: entityId, length, hash }
    heads.set(key, head)
    ;(last ? moved : begun).push(head)
    return head
  }

  const chain = ({ event, fact }: Entry, index: number): RecordRow => {
    const { namespace, entityId, eventType, who, data } = fact
    const head = headFor(namespace, entityId)
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
      erased_by: null,
    }
  }

  return {
    next(count) {
      const from = records.length
      for (const entry of entries.slice(from, from + count)) records.push(chain(entry, records.length))
      return records.slice(from)
    },
    end: () => ({ records, moved, begun }),
  }
}

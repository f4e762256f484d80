import { buildRecord, GENESIS_HASH } from '@millrace/engine'
import type { RecordRow } from '../store/schema.ts'
import type { Batch, ChainedBatch, HeadOf } from './batch.ts'

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
      erased_by: null,
    }
  })
  return { records, heads: [...heads.values()] }
}

import {
  buildRecord,
  ERASED,
  type ExportedRecord,
  type ExportLine,
  GENESIS_HASH,
  TRAIL_KIND,
  toErasure,
} from '../../src/audit.ts'

/** What is known of a record that a test makes. */
export interface Made extends ExportedRecord {
  readonly namespace: string
  readonly entityId: string
  readonly eventId: string
  readonly seq: number
}

interface Fact {
  readonly namespace: string
  readonly entityId: string
  readonly eventType: string
  readonly data: string
  readonly how?: Record<string, string>
}

/** A trail of one partition, as a recorder would have made it. */
export function createTrail() {
  const records: Made[] = []
  const heads = new Map<string, { namespace: string; entityId: string; length: number; hash: string }>()
  const add = ({ namespace, entityId, ...fact }: Fact): Made => {
    const key = `${namespace}\0${entityId}`
    const head = heads.get(key) ?? { namespace, entityId, length: 0, hash: GENESIS_HASH }
    const seq = records.length
    const salt = seq.toString(16).padStart(32, '0')
    const place = {
      chainIndex: head.length,
      previousHash: head.hash,
      partition: 0,
      seq,
      position: `1767225600000-${seq}`,
    }
    const built = buildRecord({ namespace, entityId, who: 'ada', where: {}, how: {}, ...fact, ...place, salt })
    heads.set(key, { ...head, length: head.length + 1, hash: built.eventHash })
    const { record, eventHash, eventId } = built
    const made: Made = { namespace, entityId, eventId, seq, record, eventHash, salt, data: fact.data }
    records.push(made)
    return made
  }
  const erase = (erased: readonly Made[]) => {
    const data = JSON.stringify(toErasure(erased.map(({ seq }) => ({ partition: 0, seq }))))
    const entityId = 'subject/0'
    const { eventId } = add({ namespace: '@millrace', entityId, eventType: ERASED, how: { kind: TRAIL_KIND }, data })
    for (const { seq } of erased)
      records[seq] = { ...(records[seq] as Made), data: null, salt: null, erasedBy: eventId }
  }
  return { records, heads, add, erase }
}
export type TestTrail = ReturnType<typeof createTrail>

/** The lines of an export of everything. */
export function linesOf({ records, heads }: TestTrail): ExportLine[] {
  const opening = { format: 1, at: '2026-01-02T00:00:00.000Z', filter: {}, chains: 'whole' } as const
  const chains = [...heads.values()].toSorted((a, b) => Number(isErasing(b)) - Number(isErasing(a)))
  return [
    { export: { ...opening, trails: { 0: records.length } } },
    ...chains.flatMap((head) => [
      ...records.filter(({ entityId }) => entityId === head.entityId).map(toLine),
      { head } as const,
    ]),
    { end: { records: records.length } },
  ]
}

export function toLine({ record, eventHash, salt, data, erasedBy }: ExportedRecord): ExportedRecord {
  return { record, eventHash, salt, data, ...(erasedBy !== undefined && { erasedBy }) }
}

function isErasing({ namespace }: { namespace: string }): boolean {
  return namespace === '@millrace'
}

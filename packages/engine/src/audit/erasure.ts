import { type AuditRecord, hashData, hashRecord } from './record.ts'

/**
 * What a record of the type `payload.erased` says: whose payloads and salts were destroyed, by their places in the trails
 * of the partitions. Places and not ids, because neighbours make one range: a month of payloads is a few numbers.
 */
export interface Erasure {
  /** By the partition's number: ranges [first, last] of `seq`, ascending. */
  readonly ranges: Readonly<Record<string, readonly (readonly [number, number])[]>>
}

/** Whether an erasure is at hand, and is what it says. */
export type ErasureOf = (eventId: string) => Erasure | undefined

export const ERASED = 'payload.erased'
/** `how.kind` of what the platform itself states about the trail. No emit of a service can have it. */
export const TRAIL_KIND = 'trail'

export interface Place {
  readonly partition: number
  readonly seq: number
}

/** Places as ranges, neighbours joined. */
export function toErasure(places: readonly Place[]): Erasure {
  const ranges: Record<string, [number, number][]> = {}
  for (const { partition, seq } of places.toSorted((a, b) => a.partition - b.partition || a.seq - b.seq)) {
    ranges[partition] ??= []
    const last = ranges[partition].at(-1)
    if (last && seq <= last[1] + 1) last[1] = seq
    else ranges[partition].push([seq, seq])
  }
  return { ranges }
}

export function isErased({ ranges }: Erasure, { partition, seq }: Place): boolean {
  return ranges[partition]?.some(([first, last]) => first <= seq && seq <= last) ?? false
}

/**
 * The erasure that a stored record tells of; undefined when it is none, or is not what it was. A payload that was put in
 * its place afterwards must not excuse that others are gone.
 */
export function readErasure({
  record,
  eventHash,
  data,
  salt,
}: {
  readonly record: string
  readonly eventHash: string
  readonly data: string | null
  readonly salt: string | null
}): Erasure | undefined {
  if (data === null || salt === null || hashRecord(record) !== eventHash) return undefined
  const { dataHash, eventType, how } = JSON.parse(record) as AuditRecord
  if (eventType !== ERASED || how.kind !== TRAIL_KIND || hashData(salt, data) !== dataHash) return undefined
  return parseErasure(data)
}

/** What the data of such an event says; undefined when it says nothing of the kind. */
export function parseErasure(data: string): Erasure | undefined {
  const { ranges } = JSON.parse(data) as Partial<Erasure>
  return ranges === undefined ? undefined : { ranges }
}

import { type AuditRecord, GENESIS_HASH, hashData, hashRecord } from './record.ts'

/** A record as it lies in a store. */
export interface StoredRecord {
  readonly chainIndex: number
  readonly record: string
  readonly eventHash: string
  readonly data: string | null
  readonly salt: string | null
  /** Members of the record that the store also keeps beside it, to search by; they must say the same. */
  readonly copies?: Partial<AuditRecord>
}

/**
 * How long a chain is and the hash of its last record, kept apart from the records: a chain whose tail was cut off is a
 * whole chain in itself, and only its head tells.
 */
export interface ChainHead {
  readonly length: number
  readonly hash: string
}

export interface ChainKey {
  readonly namespace: string
  readonly entityId: string
}

export type ChainFinding =
  | { readonly valid: true; readonly totalEvents: number }
  | { readonly valid: false; readonly totalEvents: number; readonly brokenAt: number; readonly reason: string }

/**
 * Verify the records of one chain, given in the order of `chainIndex`.
 *
 * `head` undefined: not known (an export of records alone), so a missing tail cannot be seen. `head` null: the store
 * should have one and has none, which is a finding.
 */
export function verifyChain(key: ChainKey, records: Iterable<StoredRecord>, head?: ChainHead | null): ChainFinding {
  const verifier = createChainVerifier(key)
  for (const record of records) verifier.add(record)
  return verifier.finish(head)
}

/** The same for chains of any length: records are handed over one by one. */
export function createChainVerifier(key: ChainKey) {
  let total = 0
  let lastHash = GENESIS_HASH
  let broken: { brokenAt: number; reason: string } | undefined

  return {
    add(stored: StoredRecord): void {
      const reason = broken ? undefined : faultOf(stored, { key, index: total, previousHash: lastHash })
      if (reason) broken = { brokenAt: total, reason }
      lastHash = stored.eventHash
      total++
    },
    finish(head?: ChainHead | null): ChainFinding {
      broken ??= faultOfHead(head, { total, lastHash })
      return broken ? { valid: false, totalEvents: total, ...broken } : { valid: true, totalEvents: total }
    },
  }
}

interface Place {
  readonly key: ChainKey
  readonly index: number
  readonly previousHash: string
}

function faultOf(stored: StoredRecord, { key, index, previousHash }: Place): string | undefined {
  if (stored.chainIndex > index) return `Record ${index} is missing.`
  if (stored.chainIndex < index) return `There is more than one record ${stored.chainIndex}.`
  if (hashRecord(stored.record) !== stored.eventHash) return 'The record does not match its hash.'
  const record = parseRecord(stored.record)
  if (record?.v !== 1) return 'The record is not of a known format.'
  if (record.namespace !== key.namespace || record.entityId !== key.entityId)
    return `The record belongs to the chain of ${record.namespace}/${record.entityId}.`
  if (record.chainIndex !== index) return `The record says that it is record ${record.chainIndex} of the chain.`
  if (record.previousHash !== previousHash) return 'The record does not follow the one before it.'
  const copy = differingCopy(record, stored.copies)
  if (copy) return `What is stored beside the record as ${copy} differs from it.`
  if (stored.data === null || stored.salt === null) return 'The data or its salt is gone.'
  if (hashData(stored.salt, stored.data) !== record.dataHash) return 'The data does not match its hash.'
  return undefined
}

function faultOfHead(
  head: ChainHead | null | undefined,
  { total, lastHash }: { total: number; lastHash: string },
): { brokenAt: number; reason: string } | undefined {
  if (head === undefined) return undefined
  if (head === null) return { brokenAt: total, reason: 'The head of the chain is missing.' }
  if (head.length > total)
    return { brokenAt: total, reason: `The chain ends after ${total} of ${head.length} records.` }
  if (head.length < total)
    return { brokenAt: head.length, reason: `The chain has ${total} records, its head counts ${head.length}.` }
  if (total > 0 && head.hash !== lastHash)
    return { brokenAt: total - 1, reason: 'The last record is not the one that the head of the chain names.' }
  return undefined
}

function differingCopy(record: AuditRecord, copies: Partial<AuditRecord> | undefined): string | undefined {
  if (!copies) return undefined
  return Object.entries(copies).find(([name, value]) => record[name as keyof AuditRecord] !== value)?.[0]
}

function parseRecord(text: string): AuditRecord | undefined {
  try {
    return JSON.parse(text) as AuditRecord
  } catch {
    return undefined
  }
}

import { type ErasureOf, isErased } from './erasure.ts'
import { type AuditRecord, GENESIS_HASH, hashData, hashRecord } from './record.ts'

/** A record as it lies in a store. */
export interface StoredRecord {
  readonly chainIndex: number
  readonly record: string
  readonly eventHash: string
  readonly data: string | null
  readonly salt: string | null
  /** The event that tells of the erasure of data and salt. */
  readonly erasedBy?: string | null
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

/**
 * `tampered`: it is not what was recorded. `unverifiable`: nothing shows that it is not, but something that would be
 * needed to be sure is not at hand.
 */
export const VERDICTS = ['intact', 'tampered', 'unverifiable'] as const
export type Verdict = (typeof VERDICTS)[number]

/**
 * What does not fit: the `record`'s own text and its hash; its place in the `chain`; the `copy` of a member beside it; its
 * `payload`; the `head` of the chain; the sequence of a partition's `trail`; the `export` that it came in.
 */
export const LEVELS = ['record', 'chain', 'copy', 'payload', 'head', 'trail', 'export'] as const
export type Level = (typeof LEVELS)[number]

export interface Fault {
  readonly verdict: Exclude<Verdict, 'intact'>
  readonly level: Level
  readonly reason: string
}

export type ChainFinding = { readonly totalEvents: number; readonly erased: number } & (
  | { readonly verdict: 'intact'; readonly valid: true }
  | (Fault & { readonly valid: false; readonly brokenAt: number; readonly eventId?: string })
)

export interface VerifyOptions {
  /** Erasures by the id of their event. */
  readonly erasureOf?: ErasureOf
  /** Whether every erasure there is would be found: of a store yes, of a part of one no. */
  readonly erasuresComplete?: boolean
}

/**
 * Verify the records of one chain, given in the order of `chainIndex`.
 *
 * `head` undefined: not known (an export of records alone), so a missing tail cannot be seen. `head` null: the store
 * should have one and has none, which is a finding.
 */
export function verifyChain(
  key: ChainKey,
  records: Iterable<StoredRecord>,
  head?: ChainHead | null,
  options?: VerifyOptions,
): ChainFinding {
  const verifier = createChainVerifier(key, options)
  for (const record of records) verifier.add(record)
  return verifier.finish(head)
}

/** The same for chains of any length: records are handed over one by one. */
export function createChainVerifier(key: ChainKey, options: VerifyOptions = {}) {
  let total = 0
  let erased = 0
  let lastHash = GENESIS_HASH
  let broken: (Fault & { brokenAt: number; eventId?: string }) | undefined

  return {
    add(stored: StoredRecord): void {
      const checked = checkRecord(stored, { key, index: total, previousHash: lastHash }, options)
      // Tampering further on counts more than what could not be verified before it.
      if (checked.fault && (broken === undefined || isWorse(checked.fault, broken))) {
        const { eventId } = checked
        broken = { ...checked.fault, brokenAt: total, ...(eventId !== undefined && { eventId }) }
      }
      if (stored.data === null) erased++
      lastHash = stored.eventHash
      total++
    },
    finish(head?: ChainHead | null): ChainFinding {
      const fault = faultOfHead(head, { total, lastHash })
      if (fault && (broken === undefined || isWorse(fault, broken))) broken = fault
      const counts = { totalEvents: total, erased }
      return broken ? { ...counts, valid: false, ...broken } : { ...counts, verdict: 'intact', valid: true }
    },
  }
}

function isWorse(next: Fault, known: Fault): boolean {
  return next.verdict === 'tampered' && known.verdict === 'unverifiable'
}

interface Place {
  readonly key: ChainKey
  readonly index: number
  readonly previousHash: string
}

interface Checked {
  readonly fault: Fault | undefined
  readonly eventId?: string
}

function checkRecord(stored: StoredRecord, { key, index, previousHash }: Place, options: VerifyOptions): Checked {
  if (stored.chainIndex > index) return { fault: tampered('chain', `Record ${index} is missing.`) }
  if (stored.chainIndex < index)
    return { fault: tampered('chain', `There is more than one record ${stored.chainIndex}.`) }
  const own = checkAlone(stored, options)
  const { record, fault } = own
  if (!record) return { fault }
  const { eventId } = record
  const misplaced = faultOfPlace(record, { key, index, previousHash })
  return { eventId, fault: misplaced ?? fault }
}

function faultOfPlace(record: AuditRecord, { key, index, previousHash }: Place): Fault | undefined {
  if (record.namespace !== key.namespace || record.entityId !== key.entityId)
    return tampered('chain', `The record belongs to the chain of ${record.namespace}/${record.entityId}.`)
  if (record.chainIndex !== index)
    return tampered('chain', `The record says that it is record ${record.chainIndex} of the chain.`)
  if (record.previousHash !== previousHash) return tampered('chain', 'The record does not follow the one before it.')
  return undefined
}

/** A record by itself, wherever it stands: its hash, its format, what is kept beside it, its payload. */
export function checkAlone(
  stored: Omit<StoredRecord, 'chainIndex'>,
  options: VerifyOptions,
): { readonly record?: AuditRecord; readonly fault: Fault | undefined } {
  if (hashRecord(stored.record) !== stored.eventHash)
    return { fault: tampered('record', 'The record does not match its hash.') }
  const record = parseRecord(stored.record)
  if (record?.v !== 1)
    return { fault: { verdict: 'unverifiable', level: 'record', reason: 'The record is not of a known format.' } }
  const copy = differingCopy(record, stored.copies)
  if (copy) return { record, fault: tampered('copy', `What is stored beside the record as ${copy} differs from it.`) }
  return { record, fault: faultOfPayload(stored, record, options) }
}

function faultOfPayload(
  { data, salt, erasedBy }: Omit<StoredRecord, 'chainIndex'>,
  record: AuditRecord,
  { erasureOf, erasuresComplete = true }: VerifyOptions,
): Fault | undefined {
  if (data !== null && salt !== null) {
    if (hashData(salt, data) === record.dataHash) return undefined
    return tampered('payload', 'The data does not match its hash.')
  }
  if (data !== null || salt !== null) return tampered('payload', 'The data or its salt is gone, and not both.')
  if (!erasedBy) return tampered('payload', 'The data is gone, and no record says that it was erased.')
  const erasure = erasureOf?.(erasedBy)
  if (erasure === undefined) {
    const verdict = erasuresComplete ? 'tampered' : 'unverifiable'
    return {
      verdict,
      level: 'payload',
      reason: `The data was erased by ${erasedBy}, and there is no such record here.`,
    }
  }
  return isErased(erasure, record)
    ? undefined
    : tampered('payload', `The data is gone, and ${erasedBy} does not say that it was erased.`)
}

function faultOfHead(
  head: ChainHead | null | undefined,
  { total, lastHash }: { total: number; lastHash: string },
): (Fault & { brokenAt: number }) | undefined {
  if (head === undefined) return undefined
  if (head === null) return { brokenAt: total, ...tampered('head', 'The head of the chain is missing.') }
  if (head.length > total)
    return { brokenAt: total, ...tampered('head', `The chain ends after ${total} of ${head.length} records.`) }
  if (head.length < total) {
    const reason = `The chain has ${total} records, its head counts ${head.length}.`
    return { brokenAt: head.length, ...tampered('head', reason) }
  }
  if (total > 0 && head.hash !== lastHash) {
    const reason = 'The last record is not the one that the head of the chain names.'
    return { brokenAt: total - 1, ...tampered('head', reason) }
  }
  return undefined
}

function tampered(level: Level, reason: string): Fault {
  return { verdict: 'tampered', level, reason }
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

/**
 * The audit record and its chain.
 *
 * ```ts
 * const first = buildRecord({ ...fact, chainIndex: 0, previousHash: GENESIS_HASH, seq: 0, partition: 0, position: '1767225600000-0', salt })
 * const verdict = verifyChain({ namespace: 'shop', entityId: 'order-7' }, storedRecords, head)
 * ```
 */
export {
  type ChainFinding,
  type ChainHead,
  type ChainKey,
  createChainVerifier,
  type Fault,
  LEVELS,
  type Level,
  type StoredRecord,
  VERDICTS,
  type Verdict,
  type VerifyOptions,
  verifyChain,
} from './audit/chain.ts'
export {
  ERASED,
  type Erasure,
  type ErasureOf,
  isErased,
  type Place,
  parseErasure,
  readErasure,
  TRAIL_KIND,
  toErasure,
} from './audit/erasure.ts'
export {
  createExportVerifier,
  type ExportedRecord,
  type ExportFault,
  type ExportFinding,
  type ExportLine,
  type ExportOpening,
} from './audit/export.ts'
export { type AuditFact, type EmittedFact, PLATFORM_ACTOR, readFact, wrapEmitted } from './audit/fact.ts'
export {
  type AuditRecord,
  type BuiltRecord,
  buildRecord,
  GENESIS_HASH,
  hashData,
  hashRecord,
  type RecordInput,
} from './audit/record.ts'

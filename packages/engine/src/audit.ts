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
  type StoredRecord,
  verifyChain,
} from './audit/chain.ts'
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

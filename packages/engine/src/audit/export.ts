import {
  type ChainFinding,
  type ChainHead,
  type ChainKey,
  checkAlone,
  createChainVerifier,
  type Fault,
} from './chain.ts'
import { type Erasure, readErasure } from './erasure.ts'
import type { AuditRecord } from './record.ts'
import { createSequence } from './sequence.ts'

/**
 * An export is one JSON document per line: first `export`, then the records chain by chain, each chain followed by its
 * `head`, and `end` as the last. Erasures come before everything that they erased. `docs/audit-format.md` has it in full.
 */
export type ExportLine =
  | { readonly export: ExportOpening }
  | ExportedRecord
  | { readonly head: ChainKey & { readonly length: number | null; readonly hash: string | null } }
  | { readonly end: { readonly records: number } }

export interface ExportOpening {
  readonly format: 1
  readonly at: string
  /** Which events were asked for; empty: all. */
  readonly filter: Readonly<Record<string, unknown>>
  /** `whole`: every chain from its first record to its head. `parts`: records that passed a filter. */
  readonly chains: 'whole' | 'parts'
  /** How many records each partition had when the export began; absent when not all chains were asked for. */
  readonly trails?: Readonly<Record<string, number>>
}

export interface ExportedRecord {
  readonly record: string
  readonly eventHash: string
  readonly salt: string | null
  readonly data: string | null
  readonly erasedBy?: string
}

export type ExportFault = Fault & Partial<ChainKey> & { readonly at?: number; readonly eventId?: string }

export interface ExportFinding {
  readonly verdict: 'intact' | 'tampered' | 'unverifiable'
  readonly records: number
  readonly chains: number
  readonly erased: number
  /** The first hundred. */
  readonly faults: readonly ExportFault[]
}

const MAX_FAULTS = 100

/** Verify an export, line by line, with nothing but its lines. `finish` after the last. */
export function createExportVerifier() {
  const erasures = new Map<string, Erasure>()
  const sequences = new Map<number, ReturnType<typeof createSequence>>()
  const faults: ExportFault[] = []
  const counts = { records: 0, chains: 0, erased: 0, tampered: 0, unverifiable: 0 }
  let opening: ExportOpening | undefined
  let chain: { key: ChainKey; verifier: ReturnType<typeof createChainVerifier> } | undefined
  let ended: number | undefined
  let lines = 0

  const options = { erasureOf: (eventId: string) => erasures.get(eventId), erasuresComplete: false }
  const report = (fault: ExportFault) => {
    counts[fault.verdict]++
    if (faults.length < MAX_FAULTS) faults.push(fault)
  }
  const concluded = (key: ChainKey, finding: ChainFinding) => {
    counts.chains++
    counts.erased += finding.erased
    if (finding.valid) return
    const { verdict, level, reason, brokenAt, eventId } = finding
    report({ verdict, level, reason, ...key, at: brokenAt, ...(eventId !== undefined && { eventId }) })
  }
  const finishChain = (head?: ChainHead | null) => {
    if (chain) concluded(chain.key, chain.verifier.finish(head))
    chain = undefined
  }

  const open = (line: ExportOpening) => {
    opening = line
    for (const [partition, length] of Object.entries(line.trails ?? {}))
      sequences.set(Number(partition), createSequence(length))
  }

  const addRecord = (line: ExportedRecord) => {
    counts.records++
    const record = parse<AuditRecord>(line.record)
    if (!record) return report({ verdict: 'tampered', level: 'record', reason: `Record ${counts.records} is no JSON.` })
    const erasure = readErasure(line)
    if (erasure) erasures.set(record.eventId, erasure)
    const sequence = sequences.get(record.partition)
    // A sequence of a forged record is none; one that does not match its hash is reported as such.
    if (sequence && Number.isSafeInteger(record.seq)) sequence.add(record.seq)
    if (opening?.chains === 'parts') return addAlone(line, record)
    if (!chain || chain.key.namespace !== record.namespace || chain.key.entityId !== record.entityId) {
      // A chain without a head line: the export says the head of each.
      finishChain(null)
      const key = { namespace: record.namespace, entityId: record.entityId }
      chain = { key, verifier: createChainVerifier(key, options) }
    }
    chain.verifier.add({ ...line, chainIndex: record.chainIndex })
  }

  const addAlone = (stored: ExportedRecord, { namespace, entityId, chainIndex, eventId }: AuditRecord) => {
    if (stored.data === null) counts.erased++
    const { fault } = checkAlone(stored, options)
    if (fault) report({ ...fault, namespace, entityId, at: chainIndex, eventId })
  }

  const addHead = ({ namespace, entityId, length, hash }: Extract<ExportLine, { head: unknown }>['head']) => {
    const head = length === null || hash === null ? null : { length, hash }
    if (chain?.key.namespace === namespace && chain.key.entityId === entityId) return finishChain(head)
    finishChain(null)
    const key = { namespace, entityId }
    concluded(key, createChainVerifier(key).finish(head))
  }

  return {
    add(text: string): void {
      lines++
      const line = parse<ExportLine>(text)
      if (ended !== undefined)
        report(inExport('tampered', `Line ${lines} stands behind the line that ends the export.`))
      if (!line) report(inExport('tampered', `Line ${lines} is no JSON.`))
      else if ('record' in line) addRecord(line)
      else if ('head' in line) addHead(line.head)
      else if ('end' in line) ended = line.end.records
      else if ('export' in line) open(line.export)
      else report(inExport('tampered', `Line ${lines} is none of an export.`))
    },
    finish(): ExportFinding {
      finishChain(ended === undefined ? undefined : null)
      if (opening?.format !== 1)
        report(inExport('unverifiable', 'The first line is not that of an export of format 1.'))
      if (ended === undefined) report(inExport('unverifiable', 'The export has no last line: it was cut off.'))
      else if (ended !== counts.records)
        report(inExport('tampered', `The export says that it has ${ended} records, and has ${counts.records}.`))
      // Of a file that was cut off the missing records are no news.
      if (ended !== undefined) for (const [partition, sequence] of sequences) reportGap(partition, sequence.firstGap())
      const { records, chains, erased, tampered, unverifiable } = counts
      const verdict = tampered > 0 ? 'tampered' : unverifiable > 0 ? 'unverifiable' : 'intact'
      return { verdict, records, chains, erased, faults }
    },
  }

  function reportGap(partition: number, at: number | undefined): void {
    if (at === undefined) return
    report({ verdict: 'tampered', level: 'trail', at, reason: `Record ${at} of partition ${partition} is missing.` })
  }
}

function inExport(verdict: Fault['verdict'], reason: string): ExportFault {
  return { verdict, level: 'export', reason }
}

function parse<T extends object>(text: string): T | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as T) : undefined
  } catch {
    return undefined
  }
}

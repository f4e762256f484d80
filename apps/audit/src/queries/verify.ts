import { setImmediate as turnOfOthers } from 'node:timers/promises'
import { partitionLabel } from '@millrace/contracts'
import {
  type ChainFinding,
  type ChainHead,
  type ChainKey,
  createChainVerifier,
  type Level,
  type Verdict,
} from '@millrace/engine'
import type { Kysely } from 'kysely'
import type { AuditDatabase, HeadRow } from '../store/schema.ts'
import { readHead, toStored, walkChain, walkChains } from './chains.ts'
import { createErasures } from './erasures.ts'

/** The verdict on one chain; undefined when nothing was ever recorded of the entity. */
export async function verifyEntity(read: Kysely<AuditDatabase>, key: ChainKey): Promise<ChainFinding | undefined> {
  const erasures = createErasures(read)
  const verifier = createChainVerifier(key, erasures)
  let head: ChainHead | null | undefined
  for await (const rows of walkChain(read, key)) {
    await erasures.learn(rows)
    for (const row of rows) {
      verifier.add(toStored(row))
      head = row.head
    }
  }
  // Without a single record only a head is left to say that there were some.
  head = head === undefined ? await readHead(read, key) : head
  return head === undefined ? undefined : verifier.finish(head)
}

export interface BrokenChain extends ChainKey {
  readonly verdict: Exclude<Verdict, 'intact'>
  readonly level: Level
  readonly brokenAt: number
  readonly eventId?: string
  readonly reason: string
}

/** The trail of one partition: its sequence must run from 0 to the cursor without a gap. */
export interface TrailFinding {
  readonly partition: string
  readonly records: number
  readonly valid: boolean
  readonly brokenAt?: number
  readonly reason?: string
}

export interface StoreFinding {
  readonly verdict: Verdict
  readonly valid: boolean
  readonly chains: number
  readonly records: number
  /** Of these, without their payload, as a record says. */
  readonly erased: number
  /** How many chains are not intact. */
  readonly tampered: number
  readonly unverifiable: number
  /** The first hundred. */
  readonly broken: readonly BrokenChain[]
  readonly trails: readonly TrailFinding[]
}

const MAX_BROKEN = 100
const PAGE_ROWS = 5000

/**
 * Verify all: every chain record by record, every head that has no records any more, every partition's sequence. The last
 * finds what the chains cannot show: a chain that was removed together with its head. The reason of `abort` is thrown
 * when it fires. `pause` is waited for after each page.
 */
export async function verifyStore(read: Kysely<AuditDatabase>, options: VerifyStoreOptions): Promise<StoreFinding> {
  const counts = { chains: 0, records: 0, erased: 0, tampered: 0, unverifiable: 0 }
  const broken: BrokenChain[] = []
  const conclude = (key: ChainKey, finding: ChainFinding) => {
    counts.chains++
    counts.records += finding.totalEvents
    counts.erased += finding.erased
    options.onChain(finding)
    if (finding.valid) return
    counts[finding.verdict]++
    const { verdict, level, brokenAt, eventId, reason } = finding
    const place = { verdict, level, brokenAt, reason, ...(eventId !== undefined && { eventId }) }
    if (broken.length < MAX_BROKEN) broken.push({ ...key, ...place })
  }
  await verifyChains(read, conclude, options)
  await verifyEmptyChains(read, conclude, options)
  const trails = await verifyTrails(read, options)
  const isTampered = counts.tampered > 0 || trails.some((trail) => !trail.valid)
  const verdict = isTampered ? 'tampered' : counts.unverifiable > 0 ? 'unverifiable' : 'intact'
  return { verdict, valid: verdict === 'intact', ...counts, broken, trails }
}

export interface VerifyStoreOptions {
  onChain(finding: ChainFinding): void
  readonly abort: AbortSignal
  pause?(): Promise<void>
}

type Conclude = (key: ChainKey, finding: ChainFinding) => void

async function verifyChains(
  read: Kysely<AuditDatabase>,
  conclude: Conclude,
  { abort, pause }: VerifyStoreOptions,
): Promise<void> {
  const erasures = createErasures(read)
  let current: { key: ChainKey; verifier: ReturnType<typeof createChainVerifier>; head: ChainHead | null } | undefined
  const finish = () => current && conclude(current.key, current.verifier.finish(current.head))
  for await (const rows of walkChains(read)) {
    abort.throwIfAborted()
    await erasures.learn(rows)
    for (const row of rows) {
      if (current?.key.namespace !== row.namespace || current.key.entityId !== row.entity_id) {
        finish()
        const key = { namespace: row.namespace, entityId: row.entity_id }
        current = { key, verifier: createChainVerifier(key, erasures), head: row.head }
      }
      current.verifier.add(toStored(row))
      // The chain may grow while it is read: the head that counts is the one read with its last record.
      current.head = row.head
    }
    await pause?.()
  }
  finish()
}

async function verifyEmptyChains(
  read: Kysely<AuditDatabase>,
  conclude: Conclude,
  { abort, pause }: VerifyStoreOptions,
): Promise<void> {
  let after: { namespace: string; entity_id: string } | undefined
  for (;;) {
    abort.throwIfAborted()
    const heads = await headsAfter(read, after)
    for (const { namespace, entity_id, length, hash, recorded } of heads) {
      if (recorded !== null) continue
      const key = { namespace, entityId: entity_id }
      conclude(key, createChainVerifier(key).finish({ length, hash }))
    }
    if (heads.length < PAGE_ROWS) return
    after = heads.at(-1)
    await turnOfOthers()
    await pause?.()
  }
}

function headsAfter(
  read: Kysely<AuditDatabase>,
  after: Pick<HeadRow, 'namespace' | 'entity_id'> | undefined,
): Promise<(HeadRow & { recorded: string | null })[]> {
  const page = read
    .selectFrom('heads')
    .selectAll('heads')
    .select((eb) =>
      eb
        .selectFrom('records')
        .select('records.event_id')
        .whereRef('records.namespace', '=', 'heads.namespace')
        .whereRef('records.entity_id', '=', 'heads.entity_id')
        .limit(1)
        .as('recorded'),
    )
    .orderBy('heads.namespace')
    .orderBy('heads.entity_id')
    .limit(PAGE_ROWS)
  if (!after) return page.execute()
  return page
    .where((eb) =>
      eb(eb.refTuple('heads.namespace', 'heads.entity_id'), '>', eb.tuple(after.namespace, after.entity_id)),
    )
    .execute()
}

/** Of every partition, whether its sequence has a hole. */
export async function verifyTrails(
  read: Kysely<AuditDatabase>,
  options: Pick<VerifyStoreOptions, 'abort' | 'pause'>,
): Promise<TrailFinding[]> {
  const cursors = await read.selectFrom('cursors').select('partition').execute()
  const partitions = new Set([...cursors.map(({ partition }) => partition), ...(await recordedPartitions(read))])
  const findings: TrailFinding[] = []
  for (const partition of [...partitions].toSorted((a, b) => a - b))
    findings.push(await verifyTrail(read, partition, options))
  return findings
}

/** One step of the index for each partition, rather than a walk over all records. */
async function recordedPartitions(read: Kysely<AuditDatabase>): Promise<number[]> {
  const partitions: number[] = []
  for (;;) {
    const next = await read
      .selectFrom('records')
      .select('partition')
      .where('partition', '>', partitions.at(-1) ?? -1)
      .orderBy('partition')
      .limit(1)
      .executeTakeFirst()
    if (!next) return partitions
    partitions.push(next.partition)
  }
}

async function verifyTrail(
  read: Kysely<AuditDatabase>,
  partition: number,
  { abort, pause }: Pick<VerifyStoreOptions, 'abort' | 'pause'>,
): Promise<TrailFinding> {
  const label = partitionLabel(partition)
  let next = 0
  for (;;) {
    abort.throwIfAborted()
    const rows = await read
      .selectFrom('records')
      .select('seq')
      .where('partition', '=', partition)
      .where('seq', '>=', next)
      .orderBy('seq')
      .limit(PAGE_ROWS)
      .execute()
    for (const { seq } of rows) {
      if (seq !== next) return brokenTrail(label, next, `Record ${next} of the partition is missing.`)
      next++
    }
    if (rows.length < PAGE_ROWS) break
    await turnOfOthers()
    await pause?.()
  }
  const { recorded, end } = await endOfTrail(read, partition)
  if (recorded === end) return { partition: label, records: next, valid: true }
  const reason = `The records of the partition end at ${end}, its cursor counts ${recorded}.`
  return brokenTrail(label, Math.min(end, recorded), reason)
}

/** In one statement, so that the recorder cannot come between the two. */
async function endOfTrail(read: Kysely<AuditDatabase>, partition: number): Promise<{ recorded: number; end: number }> {
  const row = await read
    .selectNoFrom((eb) => [
      eb.selectFrom('cursors').select('seq').where('partition', '=', partition).as('recorded'),
      eb
        .selectFrom('records')
        .select((max) => max.fn.max('seq').as('last'))
        .where('partition', '=', partition)
        .as('last'),
    ])
    .executeTakeFirstOrThrow()
  return { recorded: row.recorded ?? 0, end: row.last === null ? 0 : row.last + 1 }
}

function brokenTrail(partition: string, seq: number, reason: string): TrailFinding {
  return { partition, records: seq, valid: false, brokenAt: seq, reason }
}

import { randomInt } from 'node:crypto'
import { setImmediate as turnOfOthers } from 'node:timers/promises'
import { type EventKind, type LogEvent, parseId } from '@millrace/contracts'
import { type AuditRecord, readFact } from '@millrace/engine'
import type { Entry } from '../recorder/batch.ts'
import { createAside, dropAside, swapAside } from '../store/aside.ts'
import type { Database, WriteTransaction } from '../store/database.ts'
import type { RecordRow } from '../store/schema.ts'
import { foldReadModels, READ_MODELS_VERSION } from './fold.ts'
import { MODEL_TABLES } from './rows.ts'

/** About 20 ms of folding, after which the recorder has its turn to write. */
const PAGE_RECORDS = 1000

export interface RebuildProgress {
  readonly records: number
  readonly of: number
}

/** Somebody else began to rebuild, or we did before and were taken for dead. */
export class RebuildFencedError extends Error {
  override readonly name = 'RebuildFencedError'
}

/**
 * Make the read models again from the records, in tables aside, page by page in the order of each trail, while recording
 * and reading go on with the tables in use. The last page and the exchange of the tables are one transaction: so what is
 * recorded meanwhile is in the new tables too, and whoever reads sees the old rows or the new ones, never half.
 *
 * Killed at any point it leaves tables aside, which the next rebuild drops, and the tables in use as they were. Each page
 * is written under a token: of two rebuilds at once the older one ends with a `RebuildFencedError`.
 */
export async function rebuildReadModels(
  database: Database,
  { onProgress, abort, now }: { onProgress?(progress: RebuildProgress): void; abort?: AbortSignal; now(): number },
): Promise<RebuildProgress> {
  const token = randomInt(1, 0x7fff_ffff)
  const scope = ({ db }: WriteTransaction) => ({ db, dialect: database.dialect })
  await database.write(async (transaction) => {
    await createAside(scope(transaction), MODEL_TABLES)
    await mark(transaction, 'rebuild', { version: token, nowMs: now() })
  })
  const next = new Map<number, number>()
  let records = 0
  const foldPage = async (transaction: WriteTransaction, rows: readonly FoldedRow[]) => {
    await requireToken(transaction, token)
    await foldReadModels(transaction.aside, rows.filter(({ kind }) => FOLDED_KINDS.has(kind)).map(toEntry))
    records += rows.length
  }

  for (;;) {
    abort?.throwIfAborted()
    const cursors = await database.read.selectFrom('cursors').select(['partition', 'seq']).execute()
    const of = cursors.reduce((sum, { seq }) => sum + seq, 0)
    let behind = false
    for (const { partition } of cursors) {
      const rows = await readPage(database.read, partition, next.get(partition) ?? 0)
      // What is left of each trail, less than a page, is for the last transaction.
      if (rows.length < PAGE_RECORDS) continue
      behind = true
      await database.write((transaction) => foldPage(transaction, rows))
      next.set(partition, rows.at(-1)!.seq + 1)
      await turnOfOthers()
    }
    onProgress?.({ records, of })
    if (!behind) break
  }

  await database.write(async (transaction) => {
    const cursors = await transaction.db.selectFrom('cursors').select('partition').execute()
    for (const { partition } of cursors) await foldRest(transaction, partition)
    await swapAside(scope(transaction), MODEL_TABLES)
    await mark(transaction, 'all', { version: READ_MODELS_VERSION, nowMs: now() })
    await transaction.db.deleteFrom('read_models').where('name', '=', 'rebuild').execute()
  })
  return { records, of: records }

  async function foldRest(transaction: WriteTransaction, partition: number): Promise<void> {
    for (;;) {
      const rows = await readPage(transaction.db, partition, next.get(partition) ?? 0)
      await foldPage(transaction, rows)
      if (rows.length < PAGE_RECORDS) return
      next.set(partition, rows.at(-1)!.seq + 1)
    }
  }
}

/** Whether the read models are those of this version's folds; a store without records has nothing to make again. */
export async function areReadModelsCurrent(database: Database, nowMs: number): Promise<boolean> {
  const made = await database.read.selectFrom('read_models').selectAll().where('name', '=', 'all').executeTakeFirst()
  if (made?.version === READ_MODELS_VERSION) return true
  if (await database.read.selectFrom('records').select('seq').limit(1).executeTakeFirst()) return false
  await database.write((transaction) => mark(transaction, 'all', { version: READ_MODELS_VERSION, nowMs }))
  return true
}

/** Drop what a rebuild that was given up has left. */
export async function forgetRebuild(database: Database): Promise<void> {
  await database.write(async ({ db }) => {
    await dropAside({ db, dialect: database.dialect }, MODEL_TABLES)
    await db.deleteFrom('read_models').where('name', '=', 'rebuild').execute()
  })
}

function mark(
  { put }: WriteTransaction,
  name: 'all' | 'rebuild',
  { version, nowMs }: { version: number; nowMs: number },
): Promise<void> {
  return put('read_models', [{ name, version, built_at_ms: nowMs }])
}

async function requireToken({ db }: WriteTransaction, token: number): Promise<void> {
  const held = await db.selectFrom('read_models').select('version').where('name', '=', 'rebuild').executeTakeFirst()
  if (held?.version !== token) throw new RebuildFencedError('Another rebuild of the read models has begun.')
}

/** What services emit and publish is in no read model. */
export const FOLDED_KINDS: ReadonlySet<string> = new Set(['job', 'schedule', 'queue'] satisfies EventKind[])

export type FoldedRow = Pick<
  RecordRow,
  'seq' | 'partition' | 'event_id' | 'kind' | 'event_type' | 'namespace' | 'entity_id' | 'record' | 'data'
>

function readPage(read: Database['read'], partition: number, fromSeq: number): Promise<FoldedRow[]> {
  return read
    .selectFrom('records')
    .select(['seq', 'partition', 'event_id', 'kind', 'event_type', 'namespace', 'entity_id', 'record', 'data'])
    .where('partition', '=', partition)
    .where('seq', '>=', fromSeq)
    .orderBy('seq')
    .limit(PAGE_RECORDS)
    .execute()
}

/** The event as it stood in the log. A payload that was erased is missing, and what it said is not in the row then. */
export function toEntry(row: FoldedRow): Entry {
  const place = parseId(row.event_id)
  const { where } = JSON.parse(row.record) as AuditRecord
  const event: LogEvent = {
    position: place ? `${place.ms}-${place.seq}` : '0-0',
    partition: row.partition,
    kind: row.kind as EventKind,
    type: row.event_type,
    namespace: row.namespace,
    queue: where.queue ?? '',
    entityId: row.entity_id,
    data: row.data ?? '',
    endsEntry: true,
  }
  return { event, fact: readFact(event) }
}

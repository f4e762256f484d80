import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { AuditRecord } from '@millrace/engine'
import { GENESIS_HASH } from '@millrace/engine'
import { foldReadModels } from '../read-models/fold.ts'
import type { Batch, ChainedBatch, HeadOf } from '../recorder/batch.ts'
import { type Chaining, startChaining } from '../recorder/chain-batch.ts'
import { type Cursor, NO_CURSOR } from './cursor.ts'
import type { Database, WriteTransaction } from './database.ts'
import { foldTrailEvents } from './payloads.ts'
import type { HeadRow, JobRow, RecordRow } from './schema.ts'
import { StoreError } from './store-error.ts'
import { together } from './together.ts'

/** Another recorder has moved the cursor: what was about to be written is written already. */
export class FencedError extends Error {
  override readonly name = 'FencedError'
}

export interface Appended {
  readonly cursor: Cursor
  readonly records: readonly RecordRow[]
  readonly jobs: readonly JobRow[]
  /** Rows that nobody here wrote stood in the way, or heads were gone: a verification will say where. */
  readonly obstructed: boolean
}

/** Where the recorder keeps the trail and its read models. */
export interface Trail {
  readCursor(partition: number): Promise<Cursor>
  /**
   * Add a batch to the trail, to the read models and to the cursor in one transaction. `onSent` is called, maybe more than
   * once, when all records are made and the rest is the database's work.
   * @throws FencedError when the cursor is no longer where the batch starts; nothing was written.
   */
  append(batch: Batch, onSent?: () => void): Promise<Appended>
}

export function createTrail({ read, write }: Pick<Database, 'read' | 'write'>): Trail {
  return {
    readCursor: (partition) => readCursor(read, partition),
    async append(batch, onSent = () => undefined) {
      try {
        return { ...(await write((transaction) => writeBatch(transaction, batch, onSent))), obstructed: false }
      } catch (error) {
        if (!(error instanceof StoreError && error.isDouble)) throw error
        return { ...(await write((transaction) => writeAround(transaction, batch, onSent))), obstructed: true }
      }
    },
  }
}

type Written = Omit<Appended, 'obstructed'>

async function writeBatch(transaction: WriteTransaction, batch: Batch, onSent: () => void): Promise<Written> {
  await moveCursor(transaction, batch)
  return save(transaction, batch, { headOf: transaction.find('heads', entitiesOf(batch)).then(headIn), onSent })
}

/**
 * Somebody put rows where these belong, or took away the head that says where that is. The trail is damaged and a
 * verification says so, but what happens must still be recorded: the records go behind what is there.
 */
async function writeAround(transaction: WriteTransaction, batch: Batch, onSent: () => void): Promise<Written> {
  const end = await readEndOfTrail(transaction.db, batch.partition)
  const seq = Math.max(batch.from.seq, end ? end.seq + 1 : 0)
  const moved = { ...batch, seq, to: { ...batch.to, seq: seq + batch.entries.length } }
  await moveCursor(transaction, moved)
  return save(transaction, moved, { headOf: headBehindRecords(transaction, moved), onSent })
}

/**
 * The database works while we do: it looks up jobs while records are hashed, and writes the first of them while the next
 * are made. It does what it is asked in that order, and nothing after a failure.
 */
async function save(
  transaction: WriteTransaction,
  batch: Batch,
  { headOf, onSent }: { headOf: Promise<HeadOf>; onSent(): void },
): Promise<Written> {
  const [{ records }, jobs] = await together([
    headOf.then((known) => saveRecords(transaction, { chain: startChaining(batch, known), onSent })),
    foldReadModels(transaction, batch.entries),
  ])
  await foldTrailEvents(transaction, records)
  return { cursor: batch.to, records, jobs }
}

/** So many at a time that the database is not kept waiting for the first, and sending them is worth its while. */
const RECORDS_A_PART = 250

async function saveRecords(
  transaction: WriteTransaction,
  { chain, onSent }: { chain: Chaining; onSent(): void },
): Promise<ChainedBatch> {
  await transaction.insertAll('records', partsOf(chain, onSent))
  const chained = chain.end()
  await together([transaction.put('heads', chained.moved), transaction.insert('heads', chained.begun)])
  return chained
}

async function* partsOf(chain: Chaining, onSent: () => void): AsyncGenerator<RecordRow[]> {
  for (let rows = chain.next(RECORDS_A_PART); rows.length > 0; rows = chain.next(RECORDS_A_PART)) {
    yield rows
    // What the database asks for is sent, and the API has its turn.
    await turnOfOthers()
  }
  onSent()
}

function entitiesOf({ entries }: Batch): (readonly [string, string])[] {
  const entities = new Map<string, readonly [string, string]>()
  for (const { fact } of entries) {
    entities.set(`${fact.namespace}\0${fact.entityId}`, [fact.namespace, fact.entityId])
  }
  return [...entities.values()]
}

function headIn(rows: readonly HeadRow[]): HeadOf {
  const heads = new Map(rows.map((row) => [`${row.namespace}\0${row.entity_id}`, row]))
  return (namespace, entityId) => heads.get(`${namespace}\0${entityId}`)
}

async function headBehindRecords(transaction: WriteTransaction, batch: Batch): Promise<HeadOf> {
  const entities = entitiesOf(batch)
  const headOf = headIn(await transaction.find('heads', entities))
  const behind: HeadRow[] = []
  for (const [namespace, entity_id] of entities) {
    const head = headOf(namespace, entity_id)
    const last = await readLastRecord(transaction, namespace, entity_id)
    const length = Math.max(head?.length ?? 0, last ? last.chain_index + 1 : 0)
    behind.push({ namespace, entity_id, length, hash: head?.hash ?? last?.event_hash ?? GENESIS_HASH })
  }
  return headIn(behind)
}

/** The last record of a chain as it lies there, whatever its head says. */
function readLastRecord({ db }: WriteTransaction, namespace: string, entityId: string) {
  return db
    .selectFrom('records')
    .select(['chain_index', 'event_hash'])
    .where('namespace', '=', namespace)
    .where('entity_id', '=', entityId)
    .orderBy('chain_index', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** Compare and set: no row changes when another recorder has moved the cursor meanwhile. */
async function moveCursor({ db }: WriteTransaction, { partition, from, to }: Batch): Promise<void> {
  const moved = await db
    .updateTable('cursors')
    .set({ position: to.position, entries_read: to.entriesRead, seq: to.seq })
    .where('partition', '=', partition)
    .where('position', '=', from.position)
    .where('seq', '=', from.seq)
    .executeTakeFirst()
  if (Number(moved.numUpdatedRows) === 1) return
  // The first batch of a partition has no cursor yet to compare with.
  const started = await db
    .insertInto('cursors')
    .values({ partition, position: to.position, entries_read: to.entriesRead, seq: to.seq })
    .onConflict((conflict) => conflict.column('partition').doNothing())
    .executeTakeFirst()
  if (Number(started.numInsertedOrUpdatedRows) === 1) return
  throw new FencedError(`The cursor of partition ${partition} is no longer at ${from.position}.`)
}

/** A cursor that is gone is made again from the last record, or everything in the log would be recorded twice. */
async function readCursor(read: Database['read'], partition: number): Promise<Cursor> {
  const row = await read.selectFrom('cursors').selectAll().where('partition', '=', partition).executeTakeFirst()
  if (row) return { position: row.position, entriesRead: row.entries_read, seq: row.seq }
  const end = await readEndOfTrail(read, partition)
  if (!end) return NO_CURSOR
  const seq = end.seq + 1
  return { position: (JSON.parse(end.record) as AuditRecord).position, entriesRead: seq, seq }
}

function readEndOfTrail(db: Database['read'], partition: number) {
  return db
    .selectFrom('records')
    .select(['seq', 'record'])
    .where('partition', '=', partition)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
}

import type { DatabaseSync } from 'node:sqlite'
import type { AuditRecord } from '@millrace/engine'
import { GENESIS_HASH } from '@millrace/engine'
import { foldJobs } from '../jobs/fold-jobs.ts'
import type { Batch, HeadOf } from '../recorder/batch.ts'
import { chainBatch } from '../recorder/chain-batch.ts'
import { type Cursor, NO_CURSOR } from './cursor.ts'
import { inTransaction, isUniqueViolation } from './node-sqlite.ts'
import type { JobRow, RecordRow } from './schema.ts'
import { prepareStatements, type Statements, saveChained, saveJob } from './statements.ts'

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
   * Add a batch to the trail, to the read models and to the cursor in one transaction.
   * @throws FencedError when the cursor is no longer where the batch starts; nothing was written.
   */
  append(batch: Batch): Promise<Appended>
}

/** The trail in SQLite. Its transactions run without a pause in between, so they never mix with one another. */
export function createTrail(database: DatabaseSync): Trail {
  const statements = prepareStatements(database)
  return {
    readCursor: async (partition) => readCursor(statements, partition),
    async append(batch) {
      try {
        return { ...inTransaction(database, () => write(statements, batch, headIn(statements))), obstructed: false }
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
        return { ...inTransaction(database, () => writeAround(statements, batch)), obstructed: true }
      }
    },
  }
}

function write(statements: Statements, batch: Batch, headOf: HeadOf): Omit<Appended, 'obstructed'> {
  moveCursor(statements, batch, batch.to)
  const chained = chainBatch(batch, headOf)
  saveChained(statements, chained)
  const jobs = foldJobs(batch.entries, (id) => statements.readJob.get(id) as unknown as JobRow | undefined)
  for (const job of jobs) saveJob(statements, job)
  return { cursor: batch.to, records: chained.records, jobs }
}

/**
 * Somebody put rows where these belong, or took away the head that says where that is. The trail is damaged and a
 * verification says so, but what happens must still be recorded: the records go behind what is there.
 */
function writeAround(statements: Statements, batch: Batch): Omit<Appended, 'obstructed'> {
  const end = statements.readEndOfTrail.get(batch.partition)
  const seq = Math.max(batch.from.seq, end ? Number(end.seq) + 1 : 0)
  const moved = { ...batch, seq, to: { ...batch.to, seq: seq + batch.entries.length } }
  return write(statements, moved, headBehindRecords(statements))
}

function headIn({ readHead }: Statements): HeadOf {
  return (namespace, entityId) => {
    const row = readHead.get(namespace, entityId)
    return row && { length: Number(row.length), hash: String(row.hash) }
  }
}

function headBehindRecords(statements: Statements): HeadOf {
  const headOf = headIn(statements)
  return (namespace, entityId) => {
    const head = headOf(namespace, entityId)
    const last = statements.readLastRecord.get(namespace, entityId)
    return {
      length: Math.max(head?.length ?? 0, last ? Number(last.chain_index) + 1 : 0),
      hash: head?.hash ?? (last ? String(last.event_hash) : GENESIS_HASH),
    }
  }
}

function moveCursor({ startCursor, moveCursor }: Statements, { partition, from }: Batch, to: Cursor): void {
  startCursor.run(partition, from.position, from.entriesRead, from.seq)
  const moved = moveCursor.run(to.position, to.entriesRead, to.seq, partition, from.position, from.seq)
  if (Number(moved.changes) !== 1) {
    throw new FencedError(`The cursor of partition ${partition} is no longer at ${from.position}.`)
  }
}

/** A cursor that is gone is made again from the last record, or everything in the log would be recorded twice. */
function readCursor({ readCursor, readEndOfTrail }: Statements, partition: number): Cursor {
  const row = readCursor.get(partition)
  if (row) return { position: String(row.position), entriesRead: Number(row.entries_read), seq: Number(row.seq) }
  const end = readEndOfTrail.get(partition)
  if (!end) return NO_CURSOR
  const seq = Number(end.seq) + 1
  return { position: (JSON.parse(String(end.record)) as AuditRecord).position, entriesRead: seq, seq }
}

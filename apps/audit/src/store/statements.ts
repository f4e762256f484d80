import { readFileSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ChainedBatch } from '../recorder/batch.ts'
import type { JobRow } from './schema.ts'

/**
 * What the recorder runs, prepared once: on the way of every event, building a statement would cost more than running
 * it. Each is a file in `sql/`.
 */
export function prepareStatements(database: DatabaseSync) {
  return {
    readCursor: prepare(database, 'read_cursor'),
    startCursor: prepare(database, 'start_cursor'),
    moveCursor: prepare(database, 'move_cursor'),
    readEndOfTrail: prepare(database, 'read_end_of_trail'),
    readHead: prepare(database, 'read_head'),
    readLastRecord: prepare(database, 'read_last_record'),
    putHead: prepare(database, 'put_head'),
    insertRecord: prepare(database, 'insert_record'),
    readJob: prepare(database, 'read_job'),
    putJob: prepare(database, 'put_job'),
  }
}
export type Statements = ReturnType<typeof prepareStatements>

export function saveChained({ insertRecord, putHead }: Statements, { records, heads }: ChainedBatch): void {
  for (const row of records) {
    insertRecord.run(
      row.event_id,
      row.partition,
      row.seq,
      row.namespace,
      row.entity_id,
      row.chain_index,
      row.kind,
      row.event_type,
      row.who,
      row.when_ms,
      row.record,
      row.event_hash,
      row.salt,
      row.data,
    )
  }
  for (const { namespace, entity_id, length, hash } of heads) putHead.run(namespace, entity_id, length, hash)
}

export function saveJob({ putJob }: Statements, job: JobRow): void {
  putJob.run(
    job.id,
    job.namespace,
    job.queue,
    job.kind,
    job.state,
    job.attempts,
    job.enqueued_at_ms,
    job.updated_at_ms,
    job.finished_at_ms,
    job.next_attempt_at_ms,
    job.reason,
  )
}

function prepare(database: DatabaseSync, name: string): StatementSync {
  return database.prepare(readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8'))
}

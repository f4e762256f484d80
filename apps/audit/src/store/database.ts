import type { Kysely } from 'kysely'
import type { AuditDatabase } from './schema.ts'
import type { TableName } from './tables.ts'

/** The audit store's database, SQLite or PostgreSQL. Whatever goes wrong in it is a `StoreError`. */
export interface Database {
  readonly dialect: 'sqlite' | 'postgres'
  /** What the API asks. It never stands inside a transaction that writes, nor waits for one. */
  readonly read: Kysely<AuditDatabase>
  /**
   * Run `work` in a transaction that may write; it is committed when `work` resolves and rolled back when it rejects.
   * One such transaction is open at a time, over all processes: so what `work` reads is what it writes onto.
   */
  write<T>(work: (transaction: WriteTransaction) => Promise<T>): Promise<T>
  /** Rejects when nothing can be written right now. */
  checkWritable(): Promise<void>
  close(): Promise<void>
}

/** A row's key, its parts in the order of the table's `key`. */
export type Key = readonly (string | number)[]

export interface WriteTransaction extends TableAccess {
  /** For single statements of any kind. Rows by the hundred go through the three below. */
  readonly db: Kysely<AuditDatabase>
  /** The tables that are made again beside those in use. */
  readonly aside: TableAccess
  /** Statements whose old values are to be gone from the file as well, as far as the database can do that. */
  destroy(statements: () => Promise<void>): Promise<void>
}

/** Rows by key, many at once. */
export interface TableAccess {
  /** The rows with these keys that are there, in no order. */
  find<Name extends TableName>(table: Name, keys: readonly Key[]): Promise<AuditDatabase[Name][]>
  /** @throws StoreError with `isDouble` when a key, or another unique column, is there already. */
  insert<Name extends TableName>(table: Name, rows: readonly AuditDatabase[Name][]): Promise<void>
  /** The same with rows that are still being made: while the database takes in the first of them, the next are made. */
  insertAll<Name extends TableName>(table: Name, parts: AsyncIterable<readonly AuditDatabase[Name][]>): Promise<void>
  /** Inserts rows, or replaces those whose keys are there. No key may come twice. */
  put<Name extends TableName>(table: Name, rows: readonly AuditDatabase[Name][]): Promise<void>
}

/** Runs one after another what must not overlap. */
export function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const turn = last.then(work)
    last = turn.catch(() => undefined)
    return turn
  }
}

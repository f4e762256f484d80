import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { Kysely, SqliteDialect } from 'kysely'
import { ASIDE } from './aside.ts'
import { createTurns, type Database, type Key, type TableAccess, type WriteTransaction } from './database.ts'
import { migrateSqlite } from './migrate.ts'
import { asKyselyDatabase, storeErrors } from './node-sqlite.ts'
import type { AuditDatabase } from './schema.ts'
import { columnsOf, insertSql, TABLES, type Table, type TableName } from './tables.ts'

/**
 * How long a write waits for another process's transaction. The wait blocks this whole process, so it is short: the
 * recorder tries again later anyway.
 */
const WRITE_TIMEOUT_MS = 100
/** At start nobody is served yet, and another process may be migrating. */
const START_TIMEOUT_MS = 10_000

/**
 * Open the SQLite file, bring its schema up to date, and give two connections: one that writes, one that can only read
 * for everybody else, so that no query of the API ever stands inside the recorder's transaction.
 */
export function openSqlite(path: string): Database {
  mkdirSync(dirname(path), { recursive: true })
  const writer = storeErrors(() => openWriter(path))
  const reader = new DatabaseSync(path, { readOnly: true, timeout: WRITE_TIMEOUT_MS })
  reader.exec('PRAGMA cache_size = -32768')
  const read = asKysely(reader)
  const transaction: WriteTransaction = {
    db: asKysely(writer),
    ...tableAccess(writer, ''),
    aside: tableAccess(writer, ASIDE),
  }
  const inTurn = createTurns()
  const write: Database['write'] = (work) => inTurn(() => inTransaction(writer, () => work(transaction)))
  return {
    dialect: 'sqlite',
    read,
    write,
    checkWritable: () => write(async () => undefined),
    close: () =>
      inTurn(async () => {
        reader.close()
        writer.close()
      }),
  }
}

function openWriter(path: string): DatabaseSync {
  const writer = new DatabaseSync(path, { timeout: START_TIMEOUT_MS })
  // Readers do not wait for the writer, nor it for them.
  writer.exec('PRAGMA journal_mode = WAL')
  // The log is trimmed behind what was committed here, so a commit must survive the loss of power: one fsync per batch.
  writer.exec('PRAGMA synchronous = FULL')
  // 64 MiB: the upper pages of every index stay in memory.
  writer.exec('PRAGMA cache_size = -65536')
  // 16,000 pages (64 MiB) of journal before it is folded back: each page is then written back once for many commits.
  writer.exec('PRAGMA wal_autocheckpoint = 16000')
  migrateSqlite(writer)
  writer.exec(`PRAGMA busy_timeout = ${WRITE_TIMEOUT_MS}`)
  return writer
}

function asKysely(database: DatabaseSync): Kysely<AuditDatabase> {
  return new Kysely<AuditDatabase>({ dialect: new SqliteDialect({ database: asKyselyDatabase(database) }) })
}

/**
 * `IMMEDIATE` takes the write lock first: a transaction that starts by reading and only then finds the lock taken would
 * have to be thrown away.
 */
async function inTransaction<T>(database: DatabaseSync, work: () => Promise<T>): Promise<T> {
  storeErrors(() => database.exec('BEGIN IMMEDIATE'))
  try {
    const result = await work()
    storeErrors(() => database.exec('COMMIT'))
    return result
  } catch (error) {
    // A full disk or a failed COMMIT may have ended the transaction already.
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** Statements by the row, prepared once: on the way of every event, building one would cost more than running it. */
function tableAccess(database: DatabaseSync, suffix: string): TableAccess {
  const prepared = new Map<string, StatementSync>()
  const statement = (sql: string) => {
    const known = prepared.get(sql)
    if (known) return known
    const made = database.prepare(sql)
    prepared.set(sql, made)
    return made
  }
  const save = (table: Table, rows: readonly object[], onDouble: 'refuse' | 'replace') => {
    if (rows.length === 0) return
    const columns = columnsOf(table) as string[]
    const values = `VALUES (${columns.map(() => '?').join(', ')})`
    storeErrors(() => {
      const insert = statement(insertSql(table, { into: `${table.name}${suffix}`, values, onDouble }))
      for (const row of rows) insert.run(...columns.map((column) => (row as Record<string, string | number>)[column]!))
    })
  }
  return {
    async find<Name extends TableName>(name: Name, keys: readonly Key[]) {
      const { key } = TABLES[name]
      const select = statement(
        `SELECT * FROM ${name}${suffix} WHERE ${key.map((column) => `${column} = ?`).join(' AND ')}`,
      )
      return storeErrors(() => keys.flatMap((parts) => (select.get(...parts) as AuditDatabase[Name] | undefined) ?? []))
    },
    insert: async (name, rows) => save(TABLES[name] as unknown as Table, rows, 'refuse'),
    put: async (name, rows) => save(TABLES[name] as unknown as Table, rows, 'replace'),
  }
}

import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CompiledQuery, Kysely, SqliteDialect } from 'kysely'
import { ASIDE } from './aside.ts'
import { createTurns, type Database, type Key, type TableAccess, type WriteTransaction } from './database.ts'
import { migrate } from './migrate.ts'
import { asKyselyDatabase, storeErrors } from './node-sqlite.ts'
import type { AuditDatabase } from './schema.ts'
import { type SqliteThread, startSqliteThread } from './sqlite-thread.ts'
import { columnsOf, insertSql, TABLES, type Table, type TableName } from './tables.ts'
import { together } from './together.ts'

/** How long a write waits for another process's transaction; the recorder tries again later anyway. */
const WRITE_TIMEOUT_MS = 100
/** At start nobody is served yet, and another process may be migrating. */
const START_TIMEOUT_MS = 10_000

/** A reader that never ends, such as a shell that somebody left open, must not hold each batch up for the time of a write's wait. */
const CUT_AGAIN_MS = 10_000

const KEEP_NO_COPIES = 'secure_delete = FAST'
const OVERWRITE_ALL = 'secure_delete = ON'

const PRAGMAS = [
  `busy_timeout = ${START_TIMEOUT_MS}`,
  // Of a new file: records are of half a kilobyte and more, and larger pages are fewer to write and to look after. It took a
  // quarter off the time of a batch.
  'page_size = 8192',
  // Readers do not wait for the writer, nor it for them.
  'journal_mode = WAL',
  // The log is trimmed behind what was committed here, so a commit must survive the loss of power: one fsync per batch.
  'synchronous = FULL',
  // 64 MiB: the upper pages of every index stay in memory.
  'cache_size = -65536',
  // 64 MiB of journal (in pages of a new file) before it is folded back: each page is then written back once for many commits.
  'wal_autocheckpoint = 8000',
  // What moves within a page leaves no copy behind. It costs no write; overwriting freed pages too would, so that is for erasures.
  KEEP_NO_COPIES,
  `busy_timeout = ${WRITE_TIMEOUT_MS}`,
]

/**
 * Open the SQLite file, bring its schema up to date, and give two connections: one that writes, in a thread of its own,
 * and one that can only read for everybody else, so that no query of the API ever stands inside the recorder's
 * transaction, nor waits for its disk.
 */
export async function openSqlite(path: string): Promise<Database> {
  mkdirSync(dirname(path), { recursive: true })
  const thread = await startSqliteThread({ path, pragmas: PRAGMAS })
  const inTurn = createTurns()
  const eraser = createEraser(thread)
  const transaction: WriteTransaction = {
    db: thread.db,
    ...tableAccess(thread, ''),
    aside: tableAccess(thread, ASIDE),
    destroy: eraser.destroy,
  }
  const write: Database['write'] = (work) =>
    inTurn(async () => {
      const result = await inTransaction(thread, () => work(transaction))
      await eraser.cutJournal()
      return result
    })
  const reader = await openReader(path, { thread, write }).catch(async (error) => {
    await thread.close()
    throw error
  })
  return {
    dialect: 'sqlite',
    read: new Kysely<AuditDatabase>({ dialect: new SqliteDialect({ database: asKyselyDatabase(reader) }) }),
    write,
    checkWritable: () => write(async () => undefined),
    close: () =>
      inTurn(async () => {
        reader.close()
        await thread.close()
      }),
  }
}

async function openReader(
  path: string,
  { thread, write }: { thread: SqliteThread; write: Database['write'] },
): Promise<DatabaseSync> {
  await setBusyTimeout(thread, START_TIMEOUT_MS)
  await write(({ db }) => migrate(db, 'sqlite'))
  await setBusyTimeout(thread, WRITE_TIMEOUT_MS)
  return storeErrors(() => {
    const reader = new DatabaseSync(path, { readOnly: true, timeout: WRITE_TIMEOUT_MS })
    reader.exec('PRAGMA cache_size = -32768')
    return reader
  })
}

async function setBusyTimeout(thread: SqliteThread, ms: number): Promise<void> {
  await pragma(thread, `busy_timeout = ${ms}`)
}

async function pragma({ db }: SqliteThread, text: string): Promise<unknown> {
  return (await db.executeQuery(CompiledQuery.raw(`PRAGMA ${text}`))).rows[0]
}

/**
 * SQLite only forgets where a deleted value was: its bytes stay in the file until something else comes there, and in the
 * journal until that is written over. Here they are overwritten, and the journal is folded back and cut off.
 */
function createEraser(thread: SqliteThread) {
  // A process that was killed between the two has left a journal.
  let isToBeCut = true
  let nextTryAtMs = 0
  return {
    async destroy(statements: () => Promise<void>): Promise<void> {
      isToBeCut = true
      nextTryAtMs = 0
      await pragma(thread, OVERWRITE_ALL)
      await statements()
      await pragma(thread, KEEP_NO_COPIES)
    },
    /** Outside of transactions. A reader that stands in the journal keeps it: then it is tried again behind a later one. */
    async cutJournal(): Promise<void> {
      if (!isToBeCut || performance.now() < nextTryAtMs) return
      // What was written is committed: that the journal cannot be cut now is no fault of it.
      const cut = await pragma(thread, 'wal_checkpoint(TRUNCATE)').catch(() => undefined)
      isToBeCut = (cut as { busy: number } | undefined)?.busy !== 0
      nextTryAtMs = performance.now() + CUT_AGAIN_MS
    },
  }
}

async function inTransaction<T>(thread: SqliteThread, work: () => Promise<T>): Promise<T> {
  await thread.begin()
  try {
    const result = await work()
    await thread.commit()
    return result
  } catch (error) {
    // It fails when the thread has died, and then SQLite has rolled back.
    await thread.rollback().catch(() => undefined)
    throw error
  }
}

function tableAccess(thread: SqliteThread, suffix: string): TableAccess {
  const save = async (table: Table, rows: readonly object[], onDouble: 'refuse' | 'replace') => {
    if (rows.length === 0) return
    const columns = columnsOf(table) as string[]
    const values = `VALUES (${columns.map(() => '?').join(', ')})`
    const sql = insertSql(table, { into: `${table.name}${suffix}`, values, onDouble })
    await thread.save(sql, toColumns(columns, rows))
  }
  const insert: TableAccess['insert'] = (name, rows) => save(TABLES[name] as unknown as Table, rows, 'refuse')
  return {
    async find<Name extends TableName>(name: Name, keys: readonly Key[]) {
      if (keys.length === 0) return []
      const columns = columnsOf(TABLES[name])
      const wanted = TABLES[name].key.map((column) => `${column} = ?`).join(' AND ')
      const found = await thread.find(`SELECT ${columns.join(', ')} FROM ${name}${suffix} WHERE ${wanted}`, keys)
      return found.map((row) => toRow<Name>(columns, row))
    },
    insert,
    async insertAll(name, parts) {
      const inserted: Promise<void>[] = []
      for await (const rows of parts) {
        const one = insert(name, rows)
        // It is waited for below; one that fails before that must not end the process.
        one.catch(() => undefined)
        inserted.push(one)
      }
      await together(inserted)
    },
    put: (name, rows) => save(TABLES[name] as unknown as Table, rows, 'replace'),
  }
}

function toColumns(names: readonly string[], rows: readonly object[]): unknown[][] {
  return names.map((name) => rows.map((row) => (row as Record<string, unknown>)[name]))
}

function toRow<Name extends TableName>(names: readonly string[], values: readonly unknown[]): AuditDatabase[Name] {
  const row: Record<string, unknown> = {}
  for (let index = 0; index < names.length; index++) row[names[index] as string] = values[index]
  return row as unknown as AuditDatabase[Name]
}

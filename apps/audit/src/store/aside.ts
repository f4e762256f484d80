import { CompiledQuery } from 'kysely'
import type { Database, WriteTransaction } from './database.ts'
import { TABLES, type TableName } from './tables.ts'

/** What a table is called while it is made again beside the one in use. */
export const ASIDE = '_rebuilt'

type Scope = { readonly db: WriteTransaction['db']; readonly dialect: Database['dialect'] }

interface Index {
  readonly name: string
  readonly sql: string
}

/** Make empty tables aside, like those in use; what an earlier rebuild left is dropped. */
export async function createAside(scope: Scope, tables: readonly TableName[]): Promise<void> {
  await dropAside(scope, tables)
  const { db, dialect } = scope
  for (const name of tables) {
    if (dialect === 'sqlite') {
      const made = await db.executeQuery<{ sql: string }>(
        CompiledQuery.raw(`SELECT sql FROM sqlite_master WHERE type = 'table' AND name = '${name}'`),
      )
      await run(db, String(made.rows[0]?.sql).replace(/^CREATE TABLE "?\w+"?/i, `CREATE TABLE ${name}${ASIDE}`))
      continue
    }
    await run(db, `CREATE TABLE ${name}${ASIDE} (LIKE ${name} INCLUDING DEFAULTS)`)
    await run(db, `ALTER TABLE ${name}${ASIDE} ADD PRIMARY KEY (${TABLES[name].key.join(', ')})`)
    // From the beginning: a statement that makes the index of a large table would run into the time limit of writers.
    for (const index of await indexesOf(scope, name)) {
      const aside = `INDEX ${index.name}${ASIDE} ON ${name}${ASIDE}`
      await run(db, index.sql.replace(/INDEX \S+ ON \S+/, aside))
    }
  }
}

/** Put the tables aside in the place of those in use, with indexes of the same names. */
export async function swapAside(scope: Scope, tables: readonly TableName[]): Promise<void> {
  const { db, dialect } = scope
  for (const name of tables) {
    const indexes = await indexesOf(scope, name)
    await run(db, `DROP TABLE ${name}`)
    await run(db, `ALTER TABLE ${name}${ASIDE} RENAME TO ${name}`)
    // SQLite cannot rename an index, and makes one faster than it keeps one up.
    for (const index of indexes)
      await run(db, dialect === 'sqlite' ? index.sql : `ALTER INDEX ${index.name}${ASIDE} RENAME TO ${index.name}`)
  }
}

export async function dropAside({ db }: Scope, tables: readonly TableName[]): Promise<void> {
  for (const name of tables) await run(db, `DROP TABLE IF EXISTS ${name}${ASIDE}`)
}

/** Besides that of the primary key. */
async function indexesOf({ db, dialect }: Scope, table: TableName): Promise<readonly Index[]> {
  const sql =
    dialect === 'sqlite'
      ? `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '${table}' AND sql IS NOT NULL`
      : `SELECT relname AS name, pg_get_indexdef(indexrelid) AS sql FROM pg_index JOIN pg_class ON oid = indexrelid
         WHERE indrelid = '${table}'::regclass AND NOT indisprimary`
  return (await db.executeQuery<Index>(CompiledQuery.raw(sql))).rows
}

async function run(db: Scope['db'], sql: string): Promise<void> {
  await db.executeQuery(CompiledQuery.raw(sql))
}

import { readdirSync, readFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { CompiledQuery, type Kysely } from 'kysely'
import type { AuditDatabase } from './schema.ts'

const MIGRATIONS = new URL('./migrations/', import.meta.url)
const HISTORY = 'CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL)'

interface Migration {
  readonly name: string
  readonly sql: string
}

/**
 * Bring a SQLite file to the newest schema: the numbered files that it has not had yet, in order, all in one transaction.
 * Two processes that start at once take turns, and the second finds nothing to do.
 *
 * @throws Error when the database has had a migration that this version does not know: it is newer than the code.
 */
export function migrateSqlite(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    database.exec(HISTORY)
    const had = database.prepare('SELECT name FROM migrations').all() as unknown as { name: string }[]
    const record = database.prepare('INSERT INTO migrations (name, applied_at) VALUES (?, ?)')
    for (const { name, sql } of missingMigrations('sqlite', had)) {
      database.exec(sql)
      record.run(name, new Date().toISOString())
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** The same for PostgreSQL, inside a transaction that holds the write lock. */
export async function migratePostgres(db: Kysely<AuditDatabase>): Promise<void> {
  const run = (sql: string, parameters: string[] = []) => db.executeQuery(CompiledQuery.raw(sql, parameters))
  await run(HISTORY)
  const had = (await run('SELECT name FROM migrations')).rows as { name: string }[]
  for (const { name, sql } of missingMigrations('postgres', had)) {
    await run(sql)
    await run('INSERT INTO migrations (name, applied_at) VALUES ($1, $2)', [name, new Date().toISOString()])
  }
}

function missingMigrations(dialect: 'sqlite' | 'postgres', had: readonly { name: string }[]): Migration[] {
  const folder = new URL(`${dialect}/`, MIGRATIONS)
  const known = readdirSync(folder).toSorted()
  const applied = new Set(had.map(({ name }) => name))
  const foreign = [...applied].find((name) => !known.includes(name))
  if (foreign) throw new Error(`The audit store has had the migration ${foreign}, which this version does not know.`)
  return known
    .filter((name) => !applied.has(name))
    .map((name) => ({ name, sql: readFileSync(new URL(name, folder), 'utf8') }))
}

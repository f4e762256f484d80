import { type Kysely, sql } from 'kysely'
import type { Database } from './database.ts'
import { MIGRATIONS } from './migrations/index.ts'
import type { AuditDatabase } from './schema.ts'

/**
 * Bring the store to the newest schema: the migrations that it has not had yet, in order, inside a transaction that
 * writes. Two processes that start at once take turns, and the second finds nothing to do.
 *
 * @throws Error when the database has had a migration that this version does not know: it is newer than the code.
 */
export async function migrate(db: Kysely<AuditDatabase>, dialect: Database['dialect']): Promise<void> {
  await sql`CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL)`.execute(
    db,
  )
  const { rows: had } = await sql<{ name: string }>`SELECT name FROM migrations`.execute(db)
  const known = Object.keys(MIGRATIONS)
  // They were files of SQL once, and are recorded with that ending where they were applied then.
  const applied = new Set(had.map(({ name }) => name.replace(/\.sql$/, '')))
  const foreign = [...applied].find((name) => !known.includes(name))
  if (foreign) throw new Error(`The audit store has had the migration ${foreign}, which this version does not know.`)
  for (const [name, apply] of Object.entries(MIGRATIONS)) {
    if (applied.has(name)) continue
    await apply({ db, dialect })
    await sql`INSERT INTO migrations (name, applied_at) VALUES (${name}, ${new Date().toISOString()})`.execute(db)
  }
}

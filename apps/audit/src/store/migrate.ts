import { readdirSync, readFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { inTransaction } from './node-sqlite.ts'

const MIGRATIONS = new URL('./migrations/', import.meta.url)

/**
 * Bring a database to the newest schema: the numbered files that it has not had yet, in order, all in one transaction.
 * Two processes that start at once take turns, and the second finds nothing to do. Returns the names applied.
 *
 * @throws Error when the database has had a migration that this version does not know: it is newer than the code.
 */
export function migrate(database: DatabaseSync): string[] {
  const known = readdirSync(MIGRATIONS).toSorted()
  return inTransaction(database, () => {
    database.exec('CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL)')
    const had = database.prepare('SELECT name FROM migrations').all() as unknown as { name: string }[]
    const applied = new Set(had.map(({ name }) => name))
    const foreign = [...applied].find((name) => !known.includes(name))
    if (foreign) throw new Error(`The audit store has had the migration ${foreign}, which this version does not know.`)
    const missing = known.filter((name) => !applied.has(name))
    const record = database.prepare('INSERT INTO migrations (name, applied_at) VALUES (?, ?)')
    for (const name of missing) {
      database.exec(readFileSync(new URL(name, MIGRATIONS), 'utf8'))
      record.run(name, new Date().toISOString())
    }
    return missing
  })
}

import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely, SqliteDialect } from 'kysely'
import { migrate } from './migrate.ts'
import { asKyselyDatabase, inTransaction } from './node-sqlite.ts'
import type { AuditDatabase } from './schema.ts'
import { createTrail, type Trail } from './trail.ts'

export interface Store {
  /** What the recorder writes through. */
  readonly trail: Trail
  /** What the API asks. */
  readonly read: Kysely<AuditDatabase>
  /** Throws when nothing can be written right now. */
  checkWritable(): void
  close(): Promise<void>
}

/**
 * How long a write waits for another process's transaction. The wait blocks this whole process, so it is short: the
 * recorder tries again later anyway.
 */
const WRITE_TIMEOUT_MS = 100
/** At start nobody is served yet, and another process may be migrating. */
const START_TIMEOUT_MS = 10_000

/**
 * Open the SQLite file, bring its schema up to date, and give two connections: one for the recorder, one that can only
 * read for everybody else, so that no query of the API ever stands inside the recorder's transaction.
 */
export function openStore(path: string): Store {
  mkdirSync(dirname(path), { recursive: true })
  const writer = openWriter(path)
  const reader = new DatabaseSync(path, { readOnly: true, timeout: WRITE_TIMEOUT_MS })
  reader.exec('PRAGMA cache_size = -32768')
  const read = new Kysely<AuditDatabase>({ dialect: new SqliteDialect({ database: asKyselyDatabase(reader) }) })
  return {
    trail: createTrail(writer),
    read,
    checkWritable: () => inTransaction(writer, () => undefined),
    async close() {
      reader.close()
      writer.close()
    },
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
  migrate(writer)
  writer.exec(`PRAGMA busy_timeout = ${WRITE_TIMEOUT_MS}`)
  return writer
}

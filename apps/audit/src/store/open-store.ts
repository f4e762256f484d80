import type { Database } from './database.ts'
import { openPostgres } from './postgres.ts'
import { openSqlite } from './sqlite.ts'
import { createTrail, type Trail } from './trail.ts'

export interface Store extends Database {
  /** What the recorder writes through. */
  readonly trail: Trail
}

/**
 * Open the audit store and bring its schema up to date: in PostgreSQL when there is a `url`, else in the SQLite file at
 * `path`, which is made together with its folder.
 */
export async function openStore({ path, url }: { path: string; url?: string | undefined }): Promise<Store> {
  const database = url === undefined ? await openSqlite(path) : await openPostgres(url)
  return { ...database, trail: createTrail(database) }
}

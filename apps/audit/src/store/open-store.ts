import { openPostgresStore } from './postgres-store.ts'
import { openSqliteStore } from './sqlite-store.ts'
import type { Store } from './store.ts'

/**
 * Open the audit store and bring its schema up to date: in PostgreSQL when there is a `url`, else in the SQLite file at
 * `path`, which is made together with its folder.
 */
export async function openStore({ path, url }: { path: string; url?: string | undefined }): Promise<Store> {
  return url === undefined ? openSqliteStore(path) : openPostgresStore(url)
}

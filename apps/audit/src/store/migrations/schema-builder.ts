import { type ColumnDataType, type Kysely, type RawBuilder, sql } from 'kysely'
import type { Database } from '../database.ts'
import type { AuditDatabase } from '../schema.ts'
import type { ColumnType } from '../tables.ts'

/** The schema of a store while it is migrated; the same statements in both databases. */
export interface Scope {
  readonly db: Kysely<AuditDatabase>
  readonly dialect: Database['dialect']
}

/** With a question mark: may be NULL. */
type Columns = Readonly<Record<string, ColumnType | `${ColumnType}?`>>

export async function createTable(
  { db, dialect }: Scope,
  name: string,
  { key, columns }: { key: readonly string[]; columns: Columns },
): Promise<void> {
  let table = db.schema.createTable(name)
  for (const [column, type] of Object.entries(columns))
    table = table.addColumn(column, typeIn(dialect, type), (made) => (type.endsWith('?') ? made : made.notNull()))
  await table.addPrimaryKeyConstraint(`${name}_pkey`, key as never).execute()
}

/** Columns that were added later are NULL in the rows that are there. */
export async function addColumns({ db, dialect }: Scope, name: string, columns: Columns): Promise<void> {
  // SQLite adds one in a statement.
  for (const [column, type] of Object.entries(columns))
    await db.schema.alterTable(name).addColumn(column, typeIn(dialect, type)).execute()
}

export async function createIndex(
  { db }: Scope,
  name: string,
  { on, columns, unique = false }: { on: string; columns: readonly string[]; unique?: boolean },
): Promise<void> {
  const index = db.schema
    .createIndex(name)
    .on(on)
    .columns([...columns])
  await (unique ? index.unique() : index).execute()
}

/** The collation "C" compares by bytes, as SQLite does: ids and event types are read in ranges. */
function typeIn(dialect: Database['dialect'], type: string): ColumnDataType | RawBuilder<unknown> {
  const plain = type.replace('?', '') as ColumnType
  return dialect === 'postgres' && plain === 'text' ? sql`text collate "C"` : plain
}

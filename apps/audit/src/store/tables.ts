import type { AuditDatabase } from './schema.ts'

export type TableName = keyof AuditDatabase
export type ColumnType = 'text' | 'integer' | 'bigint'

/** What it takes to read rows of a table by key and to write many at once; the migrations are what makes the tables. */
export interface Table<Name extends TableName = TableName> {
  readonly name: Name
  readonly key: readonly (keyof AuditDatabase[Name] & string)[]
  readonly columns: Readonly<Record<keyof AuditDatabase[Name] & string, ColumnType>>
  /** Columns that a row keeps from its first writing on, so that rewriting it leaves the indexes on them alone. */
  readonly fixed: readonly (keyof AuditDatabase[Name] & string)[]
}

export const TABLES: { readonly [Name in TableName]: Table<Name> } = {
  records: {
    name: 'records',
    key: ['event_id'],
    columns: {
      event_id: 'text',
      partition: 'integer',
      seq: 'bigint',
      namespace: 'text',
      entity_id: 'text',
      chain_index: 'bigint',
      kind: 'text',
      event_type: 'text',
      who: 'text',
      when_ms: 'bigint',
      record: 'text',
      event_hash: 'text',
      salt: 'text',
      data: 'text',
      erased_by: 'text',
    },
    fixed: [],
  },
  heads: {
    name: 'heads',
    key: ['namespace', 'entity_id'],
    columns: { namespace: 'text', entity_id: 'text', length: 'bigint', hash: 'text' },
    fixed: [],
  },
  cursors: {
    name: 'cursors',
    key: ['partition'],
    columns: { partition: 'integer', position: 'text', entries_read: 'bigint', seq: 'bigint' },
    fixed: [],
  },
  jobs: {
    name: 'jobs',
    key: ['id'],
    columns: {
      id: 'text',
      namespace: 'text',
      queue: 'text',
      kind: 'text',
      state: 'text',
      attempts: 'integer',
      enqueued_at_ms: 'bigint',
      updated_at_ms: 'bigint',
      finished_at_ms: 'bigint',
      next_attempt_at_ms: 'bigint',
      reason: 'text',
    },
    fixed: ['namespace', 'queue', 'kind', 'enqueued_at_ms'],
  },
  holds: {
    name: 'holds',
    key: ['id'],
    columns: {
      id: 'text',
      namespace: 'text',
      entity_id: 'text',
      who: 'text',
      why: 'text',
      placed_at_ms: 'bigint',
      released_at_ms: 'bigint',
    },
    fixed: ['namespace', 'entity_id', 'placed_at_ms'],
  },
}

export function columnsOf<Name extends TableName>(table: Table<Name>): (keyof AuditDatabase[Name] & string)[] {
  return Object.keys(table.columns) as (keyof AuditDatabase[Name] & string)[]
}

/** `INSERT … ` with what it inserts, then, with `onDouble: 'replace'`, what becomes of a row whose key is there already. */
export function insertSql(
  table: Table,
  { values, onDouble }: { values: string; onDouble: 'refuse' | 'replace' },
): string {
  const insert = `INSERT INTO ${table.name} (${columnsOf(table).join(', ')}) ${values}`
  if (onDouble === 'refuse') return insert
  const kept = new Set<string>([...table.key, ...table.fixed])
  const changing = columnsOf(table).filter((column) => !kept.has(column))
  const updates = changing.map((column) => `${column} = excluded.${column}`).join(', ')
  return `${insert} ON CONFLICT (${table.key.join(', ')}) DO UPDATE SET ${updates}`
}

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
      ready_at_ms: 'bigint',
      started_at_ms: 'bigint',
      status: 'integer',
      discarded_at_ms: 'bigint',
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
  attempts: {
    name: 'attempts',
    key: ['job_id', 'epoch'],
    columns: {
      job_id: 'text',
      epoch: 'integer',
      namespace: 'text',
      queue: 'text',
      attempt: 'integer',
      consumer: 'text',
      outcome: 'text',
      started_at_ms: 'bigint',
      finished_at_ms: 'bigint',
      duration_ms: 'bigint',
      status: 'integer',
      reason: 'text',
    },
    fixed: ['namespace', 'queue'],
  },
  schedules: {
    name: 'schedules',
    key: ['namespace', 'name'],
    columns: {
      namespace: 'text',
      name: 'text',
      rule: 'text',
      tz: 'text',
      next_at_ms: 'bigint',
      paused_at_ms: 'bigint',
      paused_by: 'text',
      last_fired_at_ms: 'bigint',
      fired: 'bigint',
      skipped: 'bigint',
      missed: 'bigint',
      removed_at_ms: 'bigint',
      updated_at_ms: 'bigint',
    },
    fixed: [],
  },
  ticks: {
    name: 'ticks',
    key: ['namespace', 'schedule', 'id'],
    columns: {
      namespace: 'text',
      schedule: 'text',
      id: 'text',
      kind: 'text',
      state: 'text',
      reason: 'text',
      at_ms: 'bigint',
      until_ms: 'bigint',
      count: 'bigint',
      late_ms: 'bigint',
      fired_at_ms: 'bigint',
      job_id: 'text',
      gas: 'bigint',
    },
    fixed: [],
  },
  subscriptions: {
    name: 'subscriptions',
    key: ['namespace', 'name'],
    columns: {
      namespace: 'text',
      name: 'text',
      events: 'bigint',
      last_event_at_ms: 'bigint',
      losses: 'bigint',
      lost_at_ms: 'bigint',
      moved_at_ms: 'bigint',
      moved_by: 'text',
      replay_id: 'text',
      replay_state: 'text',
      replayed: 'bigint',
      updated_at_ms: 'bigint',
    },
    fixed: [],
  },
  gas: {
    name: 'gas',
    key: ['namespace', 'day', 'schedule'],
    columns: {
      namespace: 'text',
      day: 'text',
      schedule: 'text',
      tokens: 'bigint',
      ticks: 'bigint',
    },
    fixed: [],
  },
  queue_stats: {
    name: 'queue_stats',
    key: ['namespace', 'queue', 'resolution', 'start_ms'],
    columns: {
      namespace: 'text',
      queue: 'text',
      resolution: 'text',
      start_ms: 'bigint',
      enqueued: 'bigint',
      started: 'bigint',
      succeeded: 'bigint',
      failed: 'bigint',
      postponed: 'bigint',
      dead: 'bigint',
      cancelled: 'bigint',
      expired: 'bigint',
      wait_ms: 'bigint',
      max_wait_ms: 'bigint',
      run_ms: 'bigint',
      max_run_ms: 'bigint',
    },
    fixed: [],
  },
  read_models: {
    name: 'read_models',
    key: ['name'],
    columns: {
      name: 'text',
      version: 'integer',
      built_at_ms: 'bigint',
    },
    fixed: [],
  },
}

export function columnsOf<Name extends TableName>(table: Table<Name>): (keyof AuditDatabase[Name] & string)[] {
  return Object.keys(table.columns) as (keyof AuditDatabase[Name] & string)[]
}

/** `INSERT … ` with what it inserts, then, with `onDouble: 'replace'`, what becomes of a row whose key is there already. */
export function insertSql(
  table: Table,
  { into, values, onDouble }: { into: string; values: string; onDouble: 'refuse' | 'replace' },
): string {
  const insert = `INSERT INTO ${into} (${columnsOf(table).join(', ')}) ${values}`
  if (onDouble === 'refuse') return insert
  const kept = new Set<string>([...table.key, ...table.fixed])
  const changing = columnsOf(table).filter((column) => !kept.has(column))
  const updates = changing.map((column) => `${column} = excluded.${column}`).join(', ')
  return `${insert} ON CONFLICT (${table.key.join(', ')}) DO UPDATE SET ${updates}`
}

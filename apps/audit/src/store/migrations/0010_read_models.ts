import { sql } from 'kysely'
import { addColumns, createIndex, createTable, type Scope } from './schema-builder.ts'

/** Read models: folds of the records, which can be dropped and made again from them. */
export async function readModels(scope: Scope): Promise<void> {
  await addColumns(scope, 'jobs', {
    ready_at_ms: 'bigint?',
    started_at_ms: 'bigint?',
    status: 'integer?',
    discarded_at_ms: 'bigint?',
  })
  // One row for each delivery of a job, takeovers included: the epoch rises with each.
  await createTable(scope, 'attempts', {
    key: ['job_id', 'epoch'],
    columns: {
      job_id: 'text',
      epoch: 'integer',
      namespace: 'text',
      queue: 'text',
      attempt: 'integer',
      consumer: 'text?',
      outcome: 'text',
      started_at_ms: 'bigint',
      finished_at_ms: 'bigint?',
      duration_ms: 'bigint?',
      status: 'integer?',
      reason: 'text?',
    },
  })
  await createIndex(scope, 'attempts_time', { on: 'attempts', columns: ['started_at_ms', 'job_id', 'epoch'] })
  await createTable(scope, 'schedules', {
    key: ['namespace', 'name'],
    columns: {
      namespace: 'text',
      name: 'text',
      rule: 'text?',
      tz: 'text?',
      next_at_ms: 'bigint?',
      paused_at_ms: 'bigint?',
      paused_by: 'text?',
      last_fired_at_ms: 'bigint?',
      fired: 'bigint',
      skipped: 'bigint',
      missed: 'bigint',
      removed_at_ms: 'bigint?',
      updated_at_ms: 'bigint',
    },
  })
  // What became of each nominal time, or of a stretch of them (`count`, `until_ms`).
  await createTable(scope, 'ticks', {
    key: ['namespace', 'schedule', 'id'],
    columns: {
      namespace: 'text',
      schedule: 'text',
      id: 'text',
      kind: 'text',
      state: 'text',
      reason: 'text?',
      at_ms: 'bigint',
      until_ms: 'bigint?',
      count: 'bigint',
      late_ms: 'bigint?',
      fired_at_ms: 'bigint?',
      job_id: 'text?',
      gas: 'bigint?',
    },
  })
  await createIndex(scope, 'ticks_time', { on: 'ticks', columns: ['at_ms', 'namespace', 'schedule', 'id'] })
  await createTable(scope, 'subscriptions', {
    key: ['namespace', 'name'],
    columns: {
      namespace: 'text',
      name: 'text',
      events: 'bigint',
      last_event_at_ms: 'bigint?',
      losses: 'bigint',
      lost_at_ms: 'bigint?',
      moved_at_ms: 'bigint?',
      moved_by: 'text?',
      replay_id: 'text?',
      replay_state: 'text?',
      replayed: 'bigint?',
      updated_at_ms: 'bigint',
    },
  })
  // Tokens per schedule and day (UTC, as `2026-11-22`).
  await createTable(scope, 'gas', {
    key: ['namespace', 'day', 'schedule'],
    columns: {
      namespace: 'text',
      day: 'text',
      schedule: 'text',
      tokens: 'bigint',
      ticks: 'bigint',
    },
  })
  // What happened in a queue in each minute, hour and day; the short ones are deleted after a while.
  await createTable(scope, 'queue_stats', {
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
  })
  await createIndex(scope, 'queue_stats_age', { on: 'queue_stats', columns: ['resolution', 'start_ms'] })
  // Which version of the folds a read model was made by: an older one is made again.
  await createTable(scope, 'read_models', {
    key: ['name'],
    columns: {
      name: 'text',
      version: 'integer',
      built_at_ms: 'bigint',
    },
  })
  if (scope.dialect === 'postgres') await createJsonText(scope)
}

/**
 * A member of a JSON text, as text. NULL where there is none, and where the text is no JSON that PostgreSQL can take apart:
 * whoever else writes into the log must not make a search fail. SQLite has what it takes.
 */
async function createJsonText({ db }: Scope): Promise<void> {
  await sql`
    CREATE FUNCTION millrace_json_text(data TEXT, path TEXT[]) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
      -- JSON may say NUL and a text of PostgreSQL cannot: it becomes U+FFFD.
      RETURN replace(data, '\\u0000', '\\ufffd')::json #>> path;
    EXCEPTION WHEN OTHERS THEN
      RETURN NULL;
    END
    $$`.execute(db)
}

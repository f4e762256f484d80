import { createIndex, createTable, type Scope } from './schema-builder.ts'

export async function jobs(scope: Scope): Promise<void> {
  // Read model: what became of each job. It can be dropped and folded again from the records. The payload is not here: it
  // is in the record of `job.enqueued`, whose event id is made of the same log position as the job's id.
  await createTable(scope, 'jobs', {
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
      finished_at_ms: 'bigint?',
      next_attempt_at_ms: 'bigint?',
      reason: 'text?',
    },
  })
  // A job's id begins with its time, so these give jobs in the order of time.
  await createIndex(scope, 'jobs_queue', { on: 'jobs', columns: ['namespace', 'queue', 'id'] })
  await createIndex(scope, 'jobs_state', { on: 'jobs', columns: ['state', 'id'] })
}

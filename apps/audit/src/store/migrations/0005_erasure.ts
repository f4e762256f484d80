import { addColumns, createTable, type Scope } from './schema-builder.ts'

export async function erasure(scope: Scope): Promise<void> {
  // Which event tells that data and salt of a record were destroyed. A record without them and without this was tampered
  // with; one with it is as it should be when that event names it.
  await addColumns(scope, 'records', { erased_by: 'text?' })
  // Legal holds: while one is in force, no payload that it covers is destroyed. A fold of `hold.placed` and `hold.released`,
  // kept for what was held when.
  await createTable(scope, 'holds', {
    key: ['id'],
    columns: {
      id: 'text',
      namespace: 'text',
      entity_id: 'text?',
      who: 'text',
      why: 'text',
      placed_at_ms: 'bigint',
      released_at_ms: 'bigint?',
    },
  })
}

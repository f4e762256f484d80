import { createIndex, createTable, type Scope } from './schema-builder.ts'

/** The audit trail. Its twin for PostgreSQL has the same tables and columns; a test holds the two together. */
export async function trail(scope: Scope): Promise<void> {
  // One row for each event of the log. `record` is the canonical text that `event_hash` is of; the columns before it are
  // copies of its members to search by, and a verification compares them with it. `data` and `salt` may become NULL one
  // day, when a payload has to be erased; every hash verifies without them.
  await createTable(scope, 'records', {
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
      salt: 'text?',
      data: 'text?',
    },
  })
  // These two also make a fork of a chain and a doubled event impossible to store.
  await createIndex(scope, 'records_chain', {
    on: 'records',
    columns: ['namespace', 'entity_id', 'chain_index'],
    unique: true,
  })
  await createIndex(scope, 'records_trail', { on: 'records', columns: ['partition', 'seq'], unique: true })
  // An event id begins with its time, so these give a type's or a person's events in the order of time.
  await createIndex(scope, 'records_type', { on: 'records', columns: ['namespace', 'event_type', 'event_id'] })
  await createIndex(scope, 'records_who', { on: 'records', columns: ['who', 'event_id'] })
  // The head of each chain: what shows that a tail was cut off, and what the next record follows.
  await createTable(scope, 'heads', {
    key: ['namespace', 'entity_id'],
    columns: {
      namespace: 'text',
      entity_id: 'text',
      length: 'bigint',
      hash: 'text',
    },
  })
  // How far each partition's log has been recorded. It moves in the transaction that adds the records, and only from the
  // value that the recorder started from: a recorder that was replaced meanwhile changes nothing.
  await createTable(scope, 'cursors', {
    key: ['partition'],
    columns: {
      partition: 'integer',
      position: 'text',
      entries_read: 'bigint',
      seq: 'bigint',
    },
  })
}

import { TRAIL_EVENTS } from '@millrace/contracts'
import { parseErasure, TRAIL_KIND } from '@millrace/engine'
import { type ExpressionBuilder, type SqlBool, sql } from 'kysely'
import type { WriteTransaction } from './database.ts'
import type { AuditDatabase, HoldRow, RecordRow } from './schema.ts'

/**
 * Do what the events of a batch say is done to the trail itself, in the transaction that records them: payloads are gone
 * exactly when the record is there which says so, wherever a process dies.
 */
export async function foldTrailEvents(transaction: WriteTransaction, records: readonly RecordRow[]): Promise<void> {
  for (const row of records) {
    // `kind` is what the log said; no emit of a service can have this one.
    if (row.kind !== TRAIL_KIND || row.data === null) continue
    if (row.event_type === TRAIL_EVENTS.erased) await erasePayloads(transaction, row.event_id, row.data)
    if (row.event_type === TRAIL_EVENTS.holdPlaced) await transaction.put('holds', [toHold(row, row.data)])
    if (row.event_type === TRAIL_EVENTS.holdReleased) await releaseHold(transaction, row)
  }
}

/** Not under a hold in force, and not a record about the trail itself, without which no erasure could be verified. */
export function mayBeErased(eb: ExpressionBuilder<AuditDatabase, 'records'>) {
  return eb.and([
    eb('records.data', 'is not', null),
    eb('records.kind', '!=', TRAIL_KIND),
    eb.not(eb.exists(isHeld(eb))),
  ])
}

function isHeld(eb: ExpressionBuilder<AuditDatabase, 'records'>) {
  return eb
    .selectFrom('holds')
    .select('holds.id')
    .where('holds.released_at_ms', 'is', null)
    .whereRef('holds.namespace', '=', 'records.namespace')
    .where(sql<SqlBool>`(holds.entity_id IS NULL OR holds.entity_id = records.entity_id)`)
}

/** A hold that was placed after the erasure was asked for wins: what it covers stays, and the erasure named it for nothing. */
function erasePayloads({ db, destroy }: WriteTransaction, eventId: string, data: string): Promise<void> {
  return destroy(async () => {
    for (const [partition, ranges] of Object.entries(parseErasure(data)?.ranges ?? {})) {
      for (const [first, last] of ranges) {
        await db
          .updateTable('records')
          .set({ data: null, salt: null, erased_by: eventId })
          .where('partition', '=', Number(partition))
          .where('seq', '>=', first)
          .where('seq', '<=', last)
          .where((eb) => mayBeErased(eb))
          .execute()
      }
    }
  })
}

function toHold({ who, when_ms, record }: RecordRow, data: string): HoldRow {
  const { holdId, namespace, entityId } = JSON.parse(data) as { holdId: string; namespace: string; entityId?: string }
  const { why = '' } = JSON.parse(record) as { why?: string }
  return {
    id: holdId,
    namespace,
    entity_id: entityId ?? null,
    who,
    why,
    placed_at_ms: when_ms,
    released_at_ms: null,
  }
}

async function releaseHold({ db }: WriteTransaction, { when_ms, data }: RecordRow): Promise<void> {
  const { holdId } = JSON.parse(data ?? '{}') as { holdId: string }
  await db.updateTable('holds').set({ released_at_ms: when_ms }).where('id', '=', holdId).execute()
}

import type { EventQuery } from '@millrace/contracts'
import type { AuditRecord } from '@millrace/engine'
import type { Kysely } from 'kysely'
import { asJson, withRaw } from '../api/json-text.ts'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'
import { idAt } from './time-range.ts'

type ShownRow = Pick<RecordRow, 'record' | 'event_hash' | 'data'>
const SHOWN = ['event_id', 'record', 'event_hash', 'data'] as const

/** Events that pass the filter, in the order of the log's time, after the event with id `after`. */
export async function findEvents(
  read: Kysely<AuditDatabase>,
  { namespace, entityId, eventType, who, since, until, limit, after }: EventQuery & { after?: string },
): Promise<{ rows: (ShownRow & { event_id: string })[]; more: boolean }> {
  let query = read
    .selectFrom('records')
    .select(SHOWN)
    .orderBy('event_id')
    .limit(limit + 1)
  if (namespace !== undefined) query = query.where('namespace', '=', namespace)
  if (entityId !== undefined) query = query.where('entity_id', '=', entityId)
  if (who !== undefined) query = query.where('who', '=', who)
  if (since !== undefined) query = query.where('event_id', '>=', idAt('evt', since))
  if (until !== undefined) query = query.where('event_id', '<', idAt('evt', until))
  if (after !== undefined) query = query.where('event_id', '>', after)
  if (eventType?.endsWith('*')) {
    const prefix = eventType.slice(0, -1)
    query = query.where('event_type', '>=', prefix).where('event_type', '<', `${prefix}\u{10ffff}`)
  } else if (eventType !== undefined) {
    query = query.where('event_type', '=', eventType)
  }
  const rows = await query.execute()
  return { rows: rows.slice(0, limit), more: rows.length > limit }
}

export async function findRecord(read: Kysely<AuditDatabase>, eventId: string): Promise<RecordRow | undefined> {
  return read.selectFrom('records').selectAll().where('event_id', '=', eventId).executeTakeFirst()
}

/** An event as the API shows it: what the record says, its hash, and the payload untouched. */
export function eventText({ record, event_hash, data }: ShownRow): string {
  const { eventId, namespace, entityId, eventType, chainIndex, when, who, why, where, how, dataHash, previousHash } =
    JSON.parse(record) as AuditRecord
  const view = {
    eventId,
    namespace,
    entityId,
    eventType,
    chainIndex,
    createdAt: when,
    metadata: { who, why },
    where,
    how,
    dataHash,
    previousHash,
    eventHash: event_hash,
  }
  return withRaw(view, 'data', asJson(data))
}

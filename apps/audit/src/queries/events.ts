import type { EventQuery } from '@millrace/contracts'
import type { AuditRecord } from '@millrace/engine'
import type { Kysely } from 'kysely'
import { asJson, withRaw } from '../api/json-text.ts'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'
import { type EventFilter, indexedEvents, isIndexed, scanEvents } from './scan-events.ts'

type ShownRow = Pick<RecordRow, 'event_id' | 'record' | 'event_hash' | 'data'>
const SHOWN = ['event_id', 'record', 'event_hash', 'data'] as const

/** Events that pass the filter, in the order of the log's time, after the event with id `after`. */
export async function findEvents(
  read: Kysely<AuditDatabase>,
  { limit, after, ...filter }: EventQuery & { after?: string },
): Promise<FoundEvents> {
  if (!isIndexed(filter)) return searchEvents(read, filter, { limit, after })
  const query = indexedEvents(read, filter)
    .select(SHOWN)
    .orderBy('event_id')
    .limit(limit + 1)
  const found = await (after === undefined ? query : query.where('event_id', '>', after)).execute()
  const rows = found.slice(0, limit)
  return { rows, goOnAfter: found.length > limit ? rows.at(-1)?.event_id : undefined, lookedAt: rows.length }
}

export interface FoundEvents {
  readonly rows: readonly ShownRow[]
  /** Where the next page goes on; undefined when there is none. */
  readonly goOnAfter: string | undefined
  /** How many events were looked at. */
  readonly lookedAt: number
}

/** Looked at in one answer, so that none takes longer than about a second; the cursor goes on from there. */
const MAX_LOOKED_AT = 50_000

/** What no index finds is looked for in the events that an index leaves, in answers of a bounded length. */
async function searchEvents(
  read: Kysely<AuditDatabase>,
  filter: EventFilter,
  { limit, after }: { limit: number; after: string | undefined },
): Promise<FoundEvents> {
  const rows: RecordRow[] = []
  let lookedAt = 0
  for await (const page of scanEvents(read, filter, { after })) {
    rows.push(...page.matching)
    lookedAt += page.lookedAt
    if (rows.length > limit) {
      const shown = rows.slice(0, limit)
      return { rows: shown, goOnAfter: shown.at(-1)?.event_id, lookedAt }
    }
    if (page.last !== undefined && lookedAt >= MAX_LOOKED_AT) return { rows, goOnAfter: page.last, lookedAt }
  }
  return { rows, goOnAfter: undefined, lookedAt }
}

/** How many of the trail's events are counted one by one in an answer. */
const MAX_COUNTED = 200_000

/** How many events pass the filter; not `complete` when only those up to `goOnAfter` were counted. */
export async function countEvents(
  read: Kysely<AuditDatabase>,
  filter: EventFilter,
): Promise<{ count: number; lookedAt: number; complete: boolean }> {
  if (isIndexed(filter)) {
    const counted = indexedEvents(read, filter).select((eb) => eb.fn.countAll<number>().as('count'))
    const count = Number((await counted.executeTakeFirstOrThrow()).count)
    return { count, lookedAt: count, complete: true }
  }
  let count = 0
  let lookedAt = 0
  for await (const page of scanEvents(read, filter)) {
    count += page.matching.length
    lookedAt += page.lookedAt
    if (page.last !== undefined && lookedAt >= MAX_COUNTED) return { count, lookedAt, complete: false }
  }
  return { count, lookedAt, complete: true }
}

export async function findRecord(read: Kysely<AuditDatabase>, eventId: string): Promise<RecordRow | undefined> {
  return read.selectFrom('records').selectAll().where('event_id', '=', eventId).executeTakeFirst()
}

/** An event as the API shows it: what the record says, its hash, and the payload untouched. */
export function eventText({ record, event_hash, data }: Pick<RecordRow, 'record' | 'event_hash' | 'data'>): string {
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

import { type HistoryPage, idFromPosition, parseId } from '@millrace/contracts'
import type { AuditRecord } from '@millrace/engine'
import type { Kysely } from 'kysely'
import type { AuditDatabase } from '../store/schema.ts'

export interface HistoryQuery {
  readonly partition: number
  readonly after: string
  readonly to: string
  readonly kind?: string | undefined
  readonly limit: number
}

/** One look passes over at most so many records of other kinds, so that it ends within some ten milliseconds. */
const MAX_LOOKED = 5000
const MAX_SEQUENCE = 0xfffff

type Part = Omit<HistoryPage, 'entriesRead'>

/** What a log held between two positions, in its order, as far as one look goes. */
export async function readHistory(
  read: Kysely<AuditDatabase>,
  { partition, after, to, kind, limit }: HistoryQuery,
): Promise<Part> {
  const range = () =>
    read
      .selectFrom('records')
      .where('partition', '=', partition)
      .where('event_id', '>', idOf(after, partition))
      .where('event_id', '<=', idOf(to, partition))
      .orderBy('event_id')
  // Where the look ends, whatever kind is asked for.
  const beyond = await range().select('event_id').offset(MAX_LOOKED).limit(1).executeTakeFirst()
  let rows = range().select(['kind', 'event_type', 'namespace', 'entity_id', 'record', 'data', 'event_id'])
  if (kind !== undefined) rows = rows.where('kind', '=', kind)
  if (beyond) rows = rows.where('event_id', '<', beyond.event_id)
  const found = await rows.limit(limit + 1).execute()
  const events = found.slice(0, limit).map(({ kind, event_type, namespace, entity_id, record, data }) => {
    const { position, where } = JSON.parse(record) as AuditRecord
    return {
      position,
      kind: kind as Part['events'][number]['kind'],
      type: event_type,
      namespace,
      queue: where.queue ?? '',
      entityId: entity_id,
      data,
    }
  })
  if (found.length > limit) return { events, through: events.at(-1)?.position ?? after }
  return { events, through: beyond ? positionBefore(beyond.event_id) : to }
}

/** Positions are wider than ids: `to` may be "everything of this millisecond". */
function idOf(position: string, partition: number): string {
  const [ms, seq] = position.split('-').map(Number) as [number, number]
  const last = ms > 0xfffffffffff
  return idFromPosition(
    'evt',
    last ? `${0xfffffffffff}-${MAX_SEQUENCE}` : `${ms}-${Math.min(seq, MAX_SEQUENCE)}`,
    partition,
  )
}

function positionBefore(eventId: string): string {
  const { ms = 0, seq = 0 } = parseId(eventId) ?? {}
  return seq > 0 ? `${ms}-${seq - 1}` : `${ms - 1}-${Number.MAX_SAFE_INTEGER}`
}

import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { EventQuery } from '@millrace/contracts'
import type { Kysely } from 'kysely'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'
import { payloadHolds } from './payload-path.ts'
import { idAt } from './time-range.ts'

export type EventFilter = Omit<EventQuery, 'limit' | 'cursor'>

export interface ScannedPage {
  /** Those of the page that pass the whole filter, in the order of their ids. */
  readonly matching: RecordRow[]
  readonly lookedAt: number
  /** The last event that was looked at; undefined when there are no more. */
  readonly last: string | undefined
}

/** About 10 ms of reading and matching, after which the other work of the process has its turn. */
const PAGE_ROWS = 1000

/** What an index finds: the rest of a filter is looked up in the rows, the same in every database. */
export function indexedEvents(
  read: Kysely<AuditDatabase>,
  { namespace, entityId, eventType, who, since, until }: EventFilter,
) {
  let query = read.selectFrom('records')
  if (namespace !== undefined) query = query.where('namespace', '=', namespace)
  if (entityId !== undefined) query = query.where('entity_id', '=', entityId)
  if (who !== undefined) query = query.where('who', '=', who)
  if (since !== undefined) query = query.where('event_id', '>=', idAt('evt', since))
  if (until !== undefined) query = query.where('event_id', '<', idAt('evt', until))
  if (eventType === undefined) return query
  const [prefix, ...rest] = eventType.split('*') as [string, ...string[]]
  if (rest.length === 0) return query.where('event_type', '=', eventType)
  return query.where('event_type', '>=', prefix).where('event_type', '<', `${prefix}\u{10ffff}`)
}

/** Whether an index finds all of it, so that nothing has to be looked up in rows. */
export function isIndexed({ eventType, field, text }: EventFilter): boolean {
  return field === undefined && text === undefined && !/\*./.test(eventType ?? '')
}

/** All events that pass a filter, in the order of the log's time, page by page of what was looked at. */
export async function* scanEvents(
  read: Kysely<AuditDatabase>,
  filter: EventFilter,
  start?: { after?: string | undefined },
): AsyncGenerator<ScannedPage> {
  const passes = matcherOf(filter)
  let after = start?.after
  for (;;) {
    const page = indexedEvents(read, filter).selectAll().orderBy('event_id').limit(PAGE_ROWS)
    const rows = await (after === undefined ? page : page.where('event_id', '>', after)).execute()
    after = rows.length < PAGE_ROWS ? undefined : rows.at(-1)?.event_id
    yield { matching: rows.filter(passes), lookedAt: rows.length, last: after }
    if (after === undefined) return
    await turnOfOthers()
  }
}

function matcherOf({ eventType, field, equals, text }: EventFilter): (row: RecordRow) => boolean {
  const glob = eventType === undefined ? undefined : globOf(eventType)
  const words =
    text
      ?.toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '') ?? []
  return (row) =>
    (glob === undefined || glob.test(row.event_type)) &&
    (field === undefined || payloadHolds(row.data, { path: field, value: equals ?? '' })) &&
    (words.length === 0 || holdsWords(row.data, words))
}

function globOf(pattern: string): RegExp {
  return new RegExp(`^${pattern.split('*').map(escapeRegExp).join('.*')}$`, 's')
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.+?()[\]{}|]/g, '\\$&')
}

/** Every word stands somewhere in the payload, in names or values, large or small. */
function holdsWords(data: string | null, words: readonly string[]): boolean {
  if (data === null) return false
  const text = readable(data).toLowerCase()
  return words.every((word) => text.includes(word))
}

/** Escapes are ways of writing: `"\u2603"` is found as ☃. */
function readable(data: string): string {
  if (!data.includes('\\')) return data
  try {
    return JSON.stringify(JSON.parse(data))
  } catch {
    return data
  }
}

import type { AuditRecord } from '@millrace/engine'
import { stringify } from 'csv-stringify/sync'
import type { Kysely } from 'kysely'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'
import { type EventFilter, scanEvents } from './scan-events.ts'

const COLUMNS = [
  ...['eventId', 'when', 'namespace', 'entityId', 'eventType', 'who', 'why', 'where', 'how', 'data'],
  ...['chainIndex', 'partition', 'seq', 'eventHash', 'previousHash', 'dataHash', 'erasedBy'],
] as const
type Cells = Record<(typeof COLUMNS)[number], string | number>

/** Events that pass a filter as CSV (RFC 4180), oldest first, with a line of names. */
export async function* csvPages(
  read: Kysely<AuditDatabase>,
  { filter, abort }: { filter: EventFilter; abort: AbortSignal },
): AsyncGenerator<string> {
  yield `${COLUMNS.join(',')}\r\n`
  for await (const { matching } of scanEvents(read, filter)) {
    abort.throwIfAborted()
    if (matching.length > 0) yield toCsv(matching.map(toCells))
  }
}

/** A spreadsheet would run a cell that begins like a formula, and whoever emits chooses what is in it. */
function toCsv(rows: readonly Cells[]): string {
  return stringify([...rows], { columns: [...COLUMNS], escape_formulas: true, record_delimiter: 'windows' })
}

function toCells({ record, event_hash, data, erased_by }: RecordRow): Cells {
  const { where, how, why = '', v: _v, position: _position, ...rest } = JSON.parse(record) as AuditRecord
  return {
    ...rest,
    why,
    where: JSON.stringify(where),
    how: JSON.stringify(how),
    data: data ?? '',
    eventHash: event_hash,
    erasedBy: erased_by ?? '',
  }
}

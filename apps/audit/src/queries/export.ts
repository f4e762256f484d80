import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { EventQuery } from '@millrace/contracts'
import { type ExportedRecord, type ExportLine, type ExportOpening, TRAIL_KIND } from '@millrace/engine'
import type { Kysely } from 'kysely'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'
import { type ChainedRow, walkChains } from './chains.ts'
import { scanEvents } from './scan-events.ts'

/** What an export may be limited to. With `namespace` and `entityId` alone its chains are whole. */
export type ExportFilter = Omit<EventQuery, 'limit' | 'cursor'>

/** The lines of an export, in the order that `docs/audit-format.md` says, page by page. */
export async function* exportLines(
  read: Kysely<AuditDatabase>,
  { filter, at, abort }: { filter: ExportFilter; at: string; abort: AbortSignal },
): AsyncGenerator<ExportLine[]> {
  const { namespace, entityId, ...others } = filter
  const isWhole = Object.values(others).every((value) => value === undefined)
  let records = 0
  for await (const lines of isWhole ? wholeChains(read, { namespace, entityId }, at) : parts(read, filter, at)) {
    abort.throwIfAborted()
    records += lines.filter((line) => 'record' in line).length
    yield lines
    await turnOfOthers()
  }
  yield [{ end: { records } }]
}

async function* wholeChains(
  read: Kysely<AuditDatabase>,
  { namespace, entityId }: Pick<ExportFilter, 'namespace' | 'entityId'>,
  at: string,
): AsyncGenerator<ExportLine[]> {
  const isAll = namespace === undefined && entityId === undefined
  const filter = { ...(namespace !== undefined && { namespace }), ...(entityId !== undefined && { entityId }) }
  const opening: ExportOpening = { format: 1, at, filter, chains: 'whole' }
  yield [{ export: isAll ? { ...opening, trails: await trailsOf(read) } : opening }]
  // Erasures first, so that who reads the lines once knows what was erased when it comes to it.
  yield* chainLines(walkChains(read, { only: TRAIL_KIND }))
  yield* chainLines(walkChains(read, { but: TRAIL_KIND, namespace, entityId }))
  yield* bareHeads(read, { namespace, entityId })
}

/** Records, and the head of each chain behind its last. */
async function* chainLines(pages: AsyncGenerator<ChainedRow[]>): AsyncGenerator<ExportLine[]> {
  let last: ChainedRow | undefined
  for await (const rows of pages) {
    const lines: ExportLine[] = []
    for (const row of rows) {
      if (last && (last.namespace !== row.namespace || last.entity_id !== row.entity_id)) lines.push(headLine(last))
      lines.push(toLine(row))
      last = row
    }
    yield lines
  }
  if (last) yield [headLine(last)]
}

/** Heads without records: chains of which everything was taken out. */
async function* bareHeads(
  read: Kysely<AuditDatabase>,
  { namespace, entityId }: Pick<ExportFilter, 'namespace' | 'entityId'>,
): AsyncGenerator<ExportLine[]> {
  let query = read
    .selectFrom('heads')
    .selectAll()
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('records')
            .select('records.event_id')
            .whereRef('records.namespace', '=', 'heads.namespace')
            .whereRef('records.entity_id', '=', 'heads.entity_id'),
        ),
      ),
    )
  if (namespace !== undefined) query = query.where('namespace', '=', namespace)
  if (entityId !== undefined) query = query.where('entity_id', '=', entityId)
  const rows = await query.execute()
  yield rows.map(({ namespace, entity_id, length, hash }) => ({
    head: { namespace, entityId: entity_id, length, hash },
  }))
}

async function* parts(read: Kysely<AuditDatabase>, filter: ExportFilter, at: string): AsyncGenerator<ExportLine[]> {
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
  yield [{ export: { format: 1, at, filter: given, chains: 'parts' } }]
  for await (const rows of walkChains(read, { only: TRAIL_KIND })) yield rows.map(toLine)
  for await (const { matching } of scanEvents(read, filter))
    yield matching.filter(({ kind }) => kind !== TRAIL_KIND).map(toLine)
}

/** How many records each partition has now. */
async function trailsOf(read: Kysely<AuditDatabase>): Promise<Record<string, number>> {
  const cursors = await read.selectFrom('cursors').select(['partition', 'seq']).execute()
  return Object.fromEntries(cursors.map(({ partition, seq }) => [partition, seq]))
}

export function toLine({ record, event_hash, salt, data, erased_by }: RecordRow): ExportedRecord {
  return { record, eventHash: event_hash, salt, data, ...(erased_by !== null && { erasedBy: erased_by }) }
}

function headLine({ namespace, entity_id, head }: ChainedRow): ExportLine {
  return { head: { namespace, entityId: entity_id, length: head?.length ?? null, hash: head?.hash ?? null } }
}

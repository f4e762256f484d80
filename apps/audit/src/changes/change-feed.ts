import { setImmediate as turnOfOthers } from 'node:timers/promises'
import { type StreamMessage, shareLooks } from '@millrace/runtime'
import { type Kysely, sql } from 'kysely'
import { FOLDED_KINDS, type FoldedRow, toEntry } from '../read-models/rebuild.ts'
import type { AuditDatabase } from '../store/schema.ts'
import { formatSeen, type Seen } from './change-cursor.ts'
import { type Change, changedRows, isTold, type ToldTable } from './changed-rows.ts'
import { findRows, type ToldFilter } from './told-rows.ts'

type Read = Kysely<AuditDatabase>

export interface ChangeFeed {
  /** Behind everything that is recorded now. */
  now(): Promise<Seen>
  /**
   * The rows of the read models that change behind a place, as they stand when they are told, until `over` fires. A row that
   * changed several times since the last look is told once. Rejects when the store cannot be read.
   */
  follow(from: Seen, asked: { filter: ToldFilter; over: AbortSignal }): AsyncGenerator<StreamMessage>
}

/** How often the trail is looked at for those who wait. */
const LOOK_MS = 100
/** Records looked through at a time, about 5 ms of work; their rows are all that a stream holds in memory. */
const PAGE_RECORDS = 500
/** Who is told of nothing is given a new place this often, so that it need not begin far behind when it comes again. */
const PLACE_MS = 15_000
/** Longer data of an event is read for one event at a time. */
const MAX_DATA = 16_384

/**
 * The read models are folds of the trail, in one transaction with it: so the records behind a place say which rows have
 * changed since. That holds for whichever process recorded them, after a restart, and for a reader that was away for a
 * week, and nothing is kept for a reader that is slow.
 */
export function createChangeFeed(read: Read): ChangeFeed {
  const readEnds = async (): Promise<Seen> => {
    const cursors = await read.selectFrom('cursors').select(['partition', 'seq']).orderBy('partition').execute()
    return new Map(cursors.map(({ partition, seq }) => [partition, seq]))
  }
  const look = shareLooks(readEnds, LOOK_MS)

  return {
    now: readEnds,
    async *follow(from, { filter, over }) {
      let seen = from
      let ends = await readEnds()
      yield { kind: 'begin', id: formatSeen(seen), data: '{}' }
      let placedAtMs = performance.now()
      while (!over.aborted) {
        for (const [partition, end] of ends) {
          // A store that was put back from a copy has less than somebody has seen.
          let at = Math.min(seen.get(partition) ?? 0, end)
          while (at < end && !over.aborted) {
            const to = Math.min(end, at + PAGE_RECORDS)
            for (const { seq, ...message } of await changesIn(read, { partition, from: at, to }, filter)) {
              yield { ...message, id: formatSeen(new Map([...seen, [partition, seq + 1]])) }
              placedAtMs = performance.now()
            }
            at = to
            seen = new Map([...seen, [partition, at]])
            await turnOfOthers()
          }
          seen = new Map([...seen, [partition, at]])
        }
        if (performance.now() - placedAtMs > PLACE_MS) {
          yield { kind: 'place', id: formatSeen(seen), data: '{}' }
          placedAtMs = performance.now()
        }
        ends = await look()
      }
    },
  }
}

interface Range {
  readonly partition: number
  /** The first record, and the one behind the last. */
  readonly from: number
  readonly to: number
}

/** What has changed in a piece of a trail, in the order of the last change of each. */
async function changesIn(read: Read, range: Range, filter: ToldFilter) {
  const last = new Map<string, Change & { readonly seq: number }>()
  for (const row of await readRange(read, range, filter)) {
    const data = row.data ?? (await readData(read, row.event_id))
    for (const change of changedRows(toEntry({ ...row, data }))) {
      if (!isTold(change.table, filter.tables)) continue
      const name = `${change.table}\0${change.key.join('\0')}`
      last.delete(name)
      last.set(name, { ...change, seq: row.seq })
    }
  }
  const byTable = Map.groupBy(last.values(), ({ table }) => table)
  const found = await Promise.all(
    [...byTable].map(([table, changes]: [ToldTable, (Change & { seq: number })[]]) =>
      findRows(read, table, { keys: changes.map(({ key }) => key), filter }),
    ),
  )
  const texts = new Map(found.flatMap((rows) => [...rows]))
  return [...last].flatMap(([name, { table, seq }]) => {
    const data = texts.get(name)
    return data === undefined ? [] : [{ kind: KINDS[table], data, seq }]
  })
}

/** The names of the events, one row each. */
const KINDS: Readonly<Record<ToldTable, string>> = {
  jobs: 'job',
  attempts: 'attempt',
  schedules: 'schedule',
  ticks: 'tick',
  subscriptions: 'subscription',
  gas: 'gas',
  queue_stats: 'queue_stats',
}

async function readData(read: Read, eventId: string): Promise<string | null> {
  const row = await read.selectFrom('records').select('data').where('event_id', '=', eventId).executeTakeFirst()
  return row?.data ?? null
}

function readRange(read: Read, { partition, from, to }: Range, { namespace }: ToldFilter): Promise<FoldedRow[]> {
  let query = read
    .selectFrom('records')
    .select(['seq', 'partition', 'event_id', 'kind', 'event_type', 'namespace', 'entity_id', 'record'])
    .select(sql<string | null>`CASE WHEN length(data) <= ${sql.lit(MAX_DATA)} THEN data END`.as('data'))
    .where('partition', '=', partition)
    .where('seq', '>=', from)
    .where('seq', '<', to)
    .where('kind', 'in', [...FOLDED_KINDS])
    .orderBy('seq')
  if (namespace !== undefined) query = query.where('namespace', '=', namespace)
  return query.execute()
}

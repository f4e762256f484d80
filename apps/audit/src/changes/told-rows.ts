import { queueAddress } from '@millrace/contracts'
import { type Kysely, sql } from 'kysely'
import { showAttempt, showGas, showSchedule, showStats, showSubscription, showTick } from '../api/row-views.ts'
import { jobView } from '../queries/jobs.ts'
import type { Key } from '../store/database.ts'
import type { AuditDatabase, JobRow } from '../store/schema.ts'
import { TABLES } from '../store/tables.ts'
import type { ToldTable } from './changed-rows.ts'

type Read = Kysely<AuditDatabase>

/** What somebody wants to be told of; what is not given lets everything pass. */
export interface ToldFilter {
  readonly tables?: ReadonlySet<ToldTable> | undefined
  readonly namespace?: string | undefined
  /** The address of a queue, a schedule's and a subscription's included. */
  readonly queue?: string | undefined
  /** Of a job or a tick, the outcome of an attempt. What has none is not told of then. */
  readonly state?: string | undefined
}

/** A row as the list shows it, and what the filter looks at. */
interface Told {
  readonly namespace: string
  readonly queue: string
  readonly state?: string
  readonly view: object
}

/** The rows with these keys that pass the filter, as JSON text, by table and key. */
export async function findRows(
  read: Read,
  table: ToldTable,
  { keys, filter }: { keys: readonly Key[]; filter: ToldFilter },
): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  const add = (key: Key, { namespace, queue, state, view }: Told) => {
    if (filter.namespace !== undefined && filter.namespace !== namespace) return
    if (filter.queue !== undefined && filter.queue !== queue) return
    if (filter.state !== undefined && filter.state !== state) return
    texts.set(`${table}\0${key.join('\0')}`, JSON.stringify(view))
  }
  switch (table) {
    case 'jobs':
      for (const row of await byKey(read, 'jobs', keys)) add([row.id], { ...row, view: jobView(row) })
      return texts
    case 'attempts':
      for (const row of await byKey(read, 'attempts', keys))
        add([row.job_id, row.epoch], { ...row, state: row.outcome, view: showAttempt(row) })
      return texts
    case 'schedules':
      for (const { namespace, name, ...row } of await byKey(read, 'schedules', keys))
        add([namespace, name], {
          ...{ namespace, queue: queueAddress('schedule', name) },
          view: showSchedule({ namespace, name, ...row }),
        })
      return texts
    case 'ticks': {
      const rows = await byKey(read, 'ticks', keys)
      const ids = rows.flatMap(({ job_id: id }) => (id === null ? [] : [[id]]))
      const jobs = new Map((await byKey(read, 'jobs', ids)).map((job): [string, JobRow] => [job.id, job]))
      for (const row of rows) {
        const job = jobs.get(row.job_id ?? '')
        const run = { job_state: job?.state ?? null, job_finished_at_ms: job?.finished_at_ms ?? null }
        const queue = queueAddress('schedule', row.schedule)
        add([row.namespace, row.schedule, row.id], { ...row, queue, view: showTick({ ...row, ...run }) })
      }
      return texts
    }
    case 'subscriptions':
      for (const row of await byKey(read, 'subscriptions', keys)) {
        const queue = queueAddress('subscription', row.name)
        add([row.namespace, row.name], { namespace: row.namespace, queue, view: showSubscription(row) })
      }
      return texts
    case 'gas':
      for (const row of await byKey(read, 'gas', keys)) {
        const queue = queueAddress('schedule', row.schedule)
        add([row.namespace, row.day, row.schedule], { namespace: row.namespace, queue, view: showGas(row) })
      }
      return texts
    case 'queue_stats':
      for (const row of await byKey(read, 'queue_stats', keys))
        add([row.namespace, row.queue, row.resolution, row.start_ms], { ...row, view: showStats(row) })
      return texts
    default:
      return table satisfies never
  }
}

/** So many conditions of two or three parts in a statement: SQLite takes a tree of a thousand levels. */
const KEYS_A_STATEMENT = 200

async function byKey<Name extends ToldTable>(
  read: Read,
  name: Name,
  keys: readonly Key[],
): Promise<AuditDatabase[Name][]> {
  const found: AuditDatabase[Name][] = []
  for (let from = 0; from < keys.length; from += KEYS_A_STATEMENT) {
    const wanted = keys.slice(from, from + KEYS_A_STATEMENT).map((key) => {
      const parts = TABLES[name].key.map((column, index) => sql`${sql.ref(column)} = ${key[index]}`)
      return sql`(${sql.join(parts, sql` AND `)})`
    })
    const any = sql.join(wanted, sql` OR `)
    const { rows } = await sql<AuditDatabase[Name]>`SELECT * FROM ${sql.table(name)} WHERE ${any}`.execute(read)
    found.push(...rows)
  }
  return found
}

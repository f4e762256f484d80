import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { EraseRequest } from '@millrace/contracts'
import type { Place } from '@millrace/engine'
import { type Kysely, sql } from 'kysely'
import { mayBeErased } from '../store/payloads.ts'
import type { AuditDatabase } from '../store/schema.ts'
import { payloadHolds } from './payload-path.ts'

/** What was found of a person: places that may be erased, and how many are held. */
export interface SubjectRecords {
  readonly places: readonly Place[]
  readonly held: number
}

/** About 10 ms of reading and matching, after which the other work of the process has its turn. */
const PAGE_ROWS = 1000

/**
 * The records of a person that still have their payload: of the entity with that id, acted by that id, or with the id in
 * the payload under one of the paths. Of a job all records are, when one is: its result and its worker's answers speak of
 * the same person. It looks at every record of the namespace, or of all, which an erasure is rare enough for.
 */
export async function findSubjectRecords(
  read: Kysely<AuditDatabase>,
  {
    id,
    namespace,
    fields,
    abort,
  }: Pick<EraseRequest, 'fields'> & {
    id: string
    namespace: string | undefined
    abort: AbortSignal
  },
): Promise<SubjectRecords> {
  const places = new Map<string, Place>()
  const held = new Set<string>()
  const jobs = new Map<string, { namespace: string; entityId: string }>()
  const take = (row: FoundRow) => {
    if (row.erasable) places.set(row.event_id, { partition: row.partition, seq: row.seq })
    else held.add(row.event_id)
  }
  for await (const rows of pagesOf(read, { namespace, withData: fields.length > 0 })) {
    abort.throwIfAborted()
    for (const row of rows) {
      const isIn = fields.some((path) => payloadHolds(row.data, { path, value: id }))
      if (row.entity_id !== id && row.who !== id && !isIn) continue
      take(row)
      if (row.kind === 'job')
        jobs.set(`${row.namespace}\0${row.entity_id}`, { namespace: row.namespace, entityId: row.entity_id })
    }
  }
  for (const job of jobs.values()) for (const row of await chainOf(read, job)) take(row)
  return { places: [...places.values()], held: held.size }
}

interface FoundRow {
  readonly event_id: string
  readonly partition: number
  readonly seq: number
  readonly erasable: boolean
}

async function* pagesOf(
  read: Kysely<AuditDatabase>,
  { namespace, withData }: { namespace: string | undefined; withData: boolean },
) {
  let after = ''
  for (;;) {
    let query = selectPlaces(read)
      .select(['records.entity_id', 'records.namespace', 'records.who', 'records.kind'])
      .select(withData ? 'records.data' : sql<null>`NULL`.as('data'))
      .where('records.event_id', '>', after)
      .orderBy('records.event_id')
      .limit(PAGE_ROWS)
    if (namespace !== undefined) query = query.where('records.namespace', '=', namespace)
    const rows = await query.execute()
    yield rows.map(toFound)
    if (rows.length < PAGE_ROWS) return
    after = rows.at(-1)?.event_id ?? after
    await turnOfOthers()
  }
}

async function chainOf(read: Kysely<AuditDatabase>, { namespace, entityId }: { namespace: string; entityId: string }) {
  const query = selectPlaces(read).where('records.namespace', '=', namespace).where('records.entity_id', '=', entityId)
  return (await query.execute()).map(toFound)
}

/** Those that have a payload and are not about the trail itself; `erasable` is 0 of what is held. */
function selectPlaces(read: Kysely<AuditDatabase>) {
  return read
    .selectFrom('records')
    .select(['records.event_id', 'records.partition', 'records.seq'])
    .select((eb) => eb.case().when(mayBeErased(eb)).then(1).else(0).end().as('erasable'))
    .where('records.data', 'is not', null)
    .where('records.kind', '!=', 'trail')
}

function toFound<Row extends { readonly erasable: number }>(row: Row): Omit<Row, 'erasable'> & { erasable: boolean } {
  return { ...row, erasable: row.erasable === 1 }
}

import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { ChainHead, ChainKey, StoredRecord } from '@millrace/engine'
import type { Kysely } from 'kysely'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'

/** A record with the head that its chain had when it was read: one statement, so the two belong together. */
export type ChainedRow = RecordRow & { readonly head: ChainHead | null }

/** About 10 ms of reading and verifying, after which the other work of the process has its turn. */
const PAGE_ROWS = 500

interface PageStart {
  readonly namespace: string
  readonly entity_id: string
  readonly chain_index: number
}

export interface ChainFilter {
  readonly namespace?: string | undefined
  readonly entityId?: string | undefined
  /** Only records of this kind, or all others. */
  readonly only?: string
  readonly but?: string
}

/** All records of the store, chain by chain, in pages. */
export async function* walkChains(read: Kysely<AuditDatabase>, filter: ChainFilter = {}): AsyncGenerator<ChainedRow[]> {
  const { namespace, entityId, only, but } = filter
  yield* walk((after) => {
    let page = selectRows(read)
    if (namespace !== undefined) page = page.where('records.namespace', '=', namespace)
    if (entityId !== undefined) page = page.where('records.entity_id', '=', entityId)
    if (only !== undefined) page = page.where('records.kind', '=', only)
    if (but !== undefined) page = page.where('records.kind', '!=', but)
    return after
      ? page.where((eb) =>
          eb(
            eb.refTuple('records.namespace', 'records.entity_id', 'records.chain_index'),
            '>',
            eb.tuple(after.namespace, after.entity_id, after.chain_index),
          ),
        )
      : page
  })
}

/** The records of one chain, in pages. */
export async function* walkChain(read: Kysely<AuditDatabase>, key: ChainKey): AsyncGenerator<ChainedRow[]> {
  yield* walk((after) => {
    const page = selectRows(read)
      .where('records.namespace', '=', key.namespace)
      .where('records.entity_id', '=', key.entityId)
    return after ? page.where('records.chain_index', '>', after.chain_index) : page
  })
}

export async function readHead(read: Kysely<AuditDatabase>, key: ChainKey): Promise<ChainHead | undefined> {
  return read
    .selectFrom('heads')
    .select(['length', 'hash'])
    .where('namespace', '=', key.namespace)
    .where('entity_id', '=', key.entityId)
    .executeTakeFirst()
}

/** What the verifier looks at. */
export function toStored(row: RecordRow): StoredRecord {
  return {
    chainIndex: row.chain_index,
    record: row.record,
    eventHash: row.event_hash,
    data: row.data,
    salt: row.salt,
    erasedBy: row.erased_by,
    copies: {
      eventId: row.event_id,
      partition: row.partition,
      seq: row.seq,
      eventType: row.event_type,
      who: row.who,
      when: new Date(row.when_ms).toISOString(),
    },
  }
}

async function* walk(
  pageAfter: (after: PageStart | undefined) => ReturnType<typeof selectRows>,
): AsyncGenerator<ChainedRow[]> {
  let after: PageStart | undefined
  for (;;) {
    const rows = await pageAfter(after).execute()
    if (rows.length > 0) yield rows.map(withHead)
    if (rows.length < PAGE_ROWS) return
    after = rows.at(-1)
    await turnOfOthers()
  }
}

function selectRows(read: Kysely<AuditDatabase>) {
  return read
    .selectFrom('records')
    .leftJoin('heads', (join) =>
      join.onRef('heads.namespace', '=', 'records.namespace').onRef('heads.entity_id', '=', 'records.entity_id'),
    )
    .selectAll('records')
    .select(['heads.length as head_length', 'heads.hash as head_hash'])
    .orderBy('records.namespace')
    .orderBy('records.entity_id')
    .orderBy('records.chain_index')
    .limit(PAGE_ROWS)
}

function withHead({
  head_length,
  head_hash,
  ...row
}: RecordRow & { head_length: number | null; head_hash: string | null }): ChainedRow {
  return { ...row, head: head_length === null || head_hash === null ? null : { length: head_length, hash: head_hash } }
}

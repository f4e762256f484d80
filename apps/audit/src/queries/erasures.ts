import { type Erasure, type ErasureOf, readErasure } from '@millrace/engine'
import type { Kysely } from 'kysely'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'

/** The erasures that rows of the trail name, read when they are first needed. One verification has one of these. */
export interface KnownErasures {
  readonly erasureOf: ErasureOf
  /** Read those that these rows name, and that are not known yet. */
  learn(rows: readonly Pick<RecordRow, 'erased_by'>[]): Promise<void>
}

export function createErasures(read: Kysely<AuditDatabase>): KnownErasures {
  const known = new Map<string, Erasure | undefined>()
  return {
    erasureOf: (eventId) => known.get(eventId),
    async learn(rows) {
      const named = new Set(rows.map(({ erased_by }) => erased_by))
      for (const eventId of named) {
        if (eventId === null || known.has(eventId)) continue
        const row = await read
          .selectFrom('records')
          .select(['record', 'event_hash', 'data', 'salt'])
          .where('event_id', '=', eventId)
          .executeTakeFirst()
        known.set(eventId, row && readErasure({ ...row, eventHash: row.event_hash }))
      }
    },
  }
}

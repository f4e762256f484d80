import { historyPageSchema, historyQuerySchema } from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import { readHistory } from '../queries/history.ts'
import type { Cursor } from '../store/cursor.ts'
import type { AuditDatabase } from '../store/schema.ts'

export interface HistoryDeps {
  readonly read: Kysely<AuditDatabase>
  readCursor(partition: number): Promise<Cursor>
}

/** `GET /v1/log`: what the logs held, for whoever reads further back than they reach. */
export function addHistoryRoute(server: AppServer, { read, readCursor }: HistoryDeps): void {
  server.get(
    '/v1/log',
    {
      schema: {
        summary: 'Facts of a log between two positions, as they stood in it, also where it has been trimmed',
        querystring: historyQuerySchema,
        response: { 200: z.object({ success: z.literal(true), data: historyPageSchema }) },
      },
    },
    async (request) => {
      // The cursor first: what it says is recorded is there when the records are read.
      const { entriesRead } = await readCursor(request.query.partition)
      const page = await readHistory(read, request.query)
      return { success: true as const, data: { ...page, entriesRead } }
    },
  )
}

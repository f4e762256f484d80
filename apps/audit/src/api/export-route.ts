import { Readable } from 'node:stream'
import { exportQuerySchema, problemSchema } from '@millrace/contracts'
import type { AppServer, Clock } from '@millrace/runtime'
import type { Kysely } from 'kysely'
import { csvPages } from '../queries/csv.ts'
import { exportLines } from '../queries/export.ts'
import type { AuditDatabase } from '../store/schema.ts'

export interface ExportDeps {
  readonly read: Kysely<AuditDatabase>
  readonly clock: Clock
  readonly stopping: AbortSignal
}

/** `GET /v1/export`: as long as the trail is, in little memory. */
export function addExportRoute(server: AppServer, { read, clock, stopping }: ExportDeps): void {
  server.route({
    method: 'GET',
    url: '/v1/export',
    schema: {
      summary: 'The trail as NDJSON, which verifies by itself, or as CSV for people',
      querystring: exportQuerySchema,
      response: { 422: problemSchema },
    },
    async handler(request, reply) {
      const { format, ...filter } = request.query
      const at = new Date(clock.now()).toISOString()
      const name = `audit-${at.replaceAll(':', '')}.${format}`
      reply.header('content-disposition', `attachment; filename="${name}"`)
      if (format === 'csv') {
        const pages = csvPages(read, { filter, abort: stopping })
        return reply.type('text/csv; charset=utf-8').send(Readable.from(pages) as never)
      }
      const pages = ndjsonPages(exportLines(read, { filter, at, abort: stopping }))
      return reply.type('application/x-ndjson; charset=utf-8').send(Readable.from(pages) as never)
    },
  })
}

async function* ndjsonPages(pages: ReturnType<typeof exportLines>): AsyncGenerator<string> {
  for await (const lines of pages) if (lines.length > 0) yield lines.map((line) => `${JSON.stringify(line)}\n`).join('')
}

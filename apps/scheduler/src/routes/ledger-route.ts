import {
  type LedgerEntry,
  ledgerEntrySchema,
  ledgerQuerySchema,
  ProblemError,
  problemSchema,
} from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { type LedgerRow, type NamedRow, type Partitions, type RegistryView, readLedger } from '@millrace/streams'
import { z } from 'zod'
import { findSchedule } from '../schedules.ts'
import { scheduleParams } from './run-routes.ts'

/** Rows read at once while looking for those that are meant. */
const CHUNK = 500

/** `GET /schedules/{ns}/{name}/ledger`: what became of each nominal time, the latest first. */
export function addLedgerRoute(
  server: AppServer,
  deps: { readonly registry: RegistryView; readonly partitions: Partitions },
): void {
  server.get(
    '/schedules/:namespace/:name/ledger',
    {
      schema: {
        summary: 'What became of each nominal time, the latest first',
        params: scheduleParams,
        querystring: ledgerQuerySchema,
        response: {
          200: z.object({ entries: z.array(ledgerEntrySchema), cursor: z.string().optional() }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { partition, address } = await findSchedule(deps, request.params)
      const { state, reason, limit, cursor } = request.query
      const isMeant = ({ row }: NamedRow) =>
        (state === undefined || row.state === state) && (reason === undefined || row.reason === reason)
      const found: NamedRow[] = []
      let after = cursor === undefined ? undefined : readCursor(cursor)
      while (found.length <= limit) {
        const rows = await readLedger(partition, { address, ...(after && { after }), count: CHUNK })
        found.push(...rows.filter(isMeant))
        const last = rows.at(-1)
        if (!last || rows.length < CHUNK) break
        after = { atMs: last.row.atMs, name: last.name }
      }
      const page = found.slice(0, limit)
      const last = found.length > limit ? page.at(-1) : undefined
      return { entries: page.map(({ row }) => toEntry(row)), ...(last && { cursor: writeCursor(last) }) }
    },
  )
}

function toEntry({ atMs, toMs, firedAtMs, endedAtMs, tz, ...row }: LedgerRow): LedgerEntry {
  return {
    at: isoOf(atMs),
    ...row,
    ...(toMs !== undefined && { until: isoOf(toMs) }),
    ...(firedAtMs !== undefined && { firedAt: isoOf(firedAtMs) }),
    ...(endedAtMs !== undefined && { endedAt: isoOf(endedAtMs) }),
    ...(tz !== undefined && { tzdata: tz }),
  }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

function writeCursor({ name, row }: NamedRow): string {
  return Buffer.from(`${row.atMs} ${name}`).toString('base64url')
}

function readCursor(cursor: string): { atMs: number; name: string } {
  const match = /^(\d+) (\S+)$/.exec(Buffer.from(cursor, 'base64url').toString())
  if (match) return { atMs: Number(match[1]), name: match[2] as string }
  throw new ProblemError('request.invalid', 'The cursor is not one that this list gave out.', {
    errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }],
  })
}

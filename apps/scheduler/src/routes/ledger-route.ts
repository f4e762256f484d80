import {
  type LedgerEntry,
  ledgerEntrySchema,
  ledgerQuerySchema,
  ProblemError,
  problemSchema,
  queueAddress,
} from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import {
  fullAddress,
  type LedgerRow,
  type NamedRow,
  type Partitions,
  type RegistryView,
  readLedger,
} from '@millrace/streams'
import { z } from 'zod'
import { findSchedule } from '../schedules.ts'
import { scheduleParams } from './run-routes.ts'

/** Rows read at once while looking for those that are meant. */
const CHUNK = 500

export interface LedgerRouteDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
}

/** `GET /schedules/{ns}/{name}/ledger`: what became of each nominal time, the latest first. */
export function addLedgerRoute(server: AppServer, deps: LedgerRouteDeps): void {
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
      const { partition, address } = await findLedger(deps, request.params)
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

/** Where a ledger is. That of a schedule which is declared no more is kept for a while, and asked for most of all. */
async function findLedger(deps: LedgerRouteDeps, { namespace, name }: { namespace: string; name: string }) {
  const address = fullAddress(namespace, queueAddress('schedule', name))
  const partition = deps.partitions.of(address)
  const hasRows = (await readLedger(partition, { address, count: 1 })).length > 0
  return hasRows ? { partition, address } : findSchedule(deps, { namespace, name })
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

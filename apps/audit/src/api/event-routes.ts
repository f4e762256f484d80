import { Readable } from 'node:stream'
import {
  auditEventSchema,
  chainVerdictSchema,
  eventQuerySchema,
  namespaceSchema,
  ProblemError,
} from '@millrace/contracts'
import { type ChainHead, type ChainKey, createChainVerifier } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import type { AuditMetrics } from '../metrics.ts'
import { readHead, toStored, walkChain } from '../queries/chains.ts'
import { eventText, findEvents } from '../queries/events.ts'
import { verifyEntity } from '../queries/verify.ts'
import type { AuditDatabase } from '../store/schema.ts'
import { fromCursor, toCursor } from './cursor.ts'
import { arrayText } from './json-text.ts'

export interface EventDeps {
  readonly read: Kysely<AuditDatabase>
  readonly metrics: AuditMetrics
  /** Fires when the process stops, with the problem that those who still wait are answered with. */
  readonly stopping: AbortSignal
}

const JSON_TYPE = 'application/json; charset=utf-8'

/** Septor's reading side: the list of events, the chain of an entity, and whether it is whole. */
export function addEventRoutes(server: AppServer, { read, metrics, stopping }: EventDeps): void {
  server.route({
    method: 'GET',
    url: '/v1/events',
    schema: {
      summary: 'Events of the trail, oldest first; since is inclusive, until is not',
      querystring: eventQuerySchema,
      response: {
        200: z.object({
          success: z.literal(true),
          data: z.object({ events: z.array(auditEventSchema), cursor: z.string().optional() }),
        }),
      },
    },
    async handler(request, reply) {
      const after = fromCursor(request.query.cursor, 'evt')
      const { rows, more } = await findEvents(read, { ...request.query, ...(after !== undefined && { after }) })
      const last = rows.at(-1)
      const cursor = more && last ? `,"cursor":"${toCursor(last.event_id)}"` : ''
      const events = arrayText(rows.map(eventText))
      return reply.type(JSON_TYPE).send(`{"success":true,"data":{"events":${events}${cursor}}}` as never)
    },
  })

  // An entity id may hold slashes, encoded or not, so the view is what stands after the last one.
  server.route({
    method: 'GET',
    url: '/v1/events/*',
    schema: {
      summary: 'GET /v1/events/{entityId}/chain and /v1/events/{entityId}/verify',
      params: z.object({ '*': z.string() }),
      querystring: z.strictObject({ namespace: namespaceSchema }),
      response: {
        200: z.object({
          success: z.literal(true),
          data: chainVerdictSchema.extend({ chain: z.array(auditEventSchema).optional() }),
        }),
      },
    },
    async handler(request, reply) {
      const [, entityId, view] = /^(.+)\/(chain|verify)$/s.exec(request.params['*']) ?? []
      if (entityId === undefined) {
        throw new ProblemError('request.not_found', `${request.url} is not a route here. GET /openapi.json lists them.`)
      }
      const key = { namespace: request.query.namespace, entityId }
      reply.type(JSON_TYPE)
      if (view === 'verify') return reply.send((await verdictText(read, key, metrics)) as never)
      if (!(await isKnown(read, key))) throw unknownEntity(key)
      return reply.send(Readable.from(chainTexts(read, key, stopping)) as never)
    },
  })
}

async function verdictText(read: Kysely<AuditDatabase>, key: ChainKey, metrics: AuditMetrics): Promise<string> {
  const finding = await verifyEntity(read, key)
  metrics.verified.inc({ result: finding ? (finding.valid ? 'intact' : 'broken') : 'unknown' })
  if (!finding) throw unknownEntity(key)
  return JSON.stringify({ success: true, data: finding })
}

/** The chain as it is read, page by page, so that one of any length is answered in little memory; the verdict comes last. */
async function* chainTexts(read: Kysely<AuditDatabase>, key: ChainKey, stopping: AbortSignal): AsyncGenerator<string> {
  const verifier = createChainVerifier(key)
  let head: ChainHead | null = (await readHead(read, key)) ?? null
  let separator = ''
  yield '{"success":true,"data":{"chain":['
  for await (const rows of walkChain(read, key)) {
    stopping.throwIfAborted()
    for (const row of rows) {
      verifier.add(toStored(row))
      head = row.head
    }
    yield separator + rows.map(eventText).join(',')
    separator = ','
  }
  yield `],${JSON.stringify(verifier.finish(head)).slice(1, -1)}}}`
}

async function isKnown(read: Kysely<AuditDatabase>, key: ChainKey): Promise<boolean> {
  if (await readHead(read, key)) return true
  const first = await walkChain(read, key).next()
  return !first.done
}

function unknownEntity({ namespace, entityId }: ChainKey): ProblemError {
  return new ProblemError('entity.unknown', `Nothing was ever recorded of ${entityId} in ${namespace}.`)
}

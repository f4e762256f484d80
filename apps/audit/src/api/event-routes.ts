import { Readable } from 'node:stream'
import {
  auditEventSchema,
  chainVerdictSchema,
  eventCountQuerySchema,
  eventQuerySchema,
  ProblemError,
  recordedNamespaceSchema,
} from '@millrace/contracts'
import { type ChainFinding, type ChainHead, type ChainKey, createChainVerifier } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import type { AuditMetrics } from '../metrics.ts'
import { readHead, toStored, walkChain } from '../queries/chains.ts'
import { createErasures } from '../queries/erasures.ts'
import { countEvents, eventText, findEvents } from '../queries/events.ts'
import { verifyEntity, verifyTrails } from '../queries/verify.ts'
import type { AuditDatabase } from '../store/schema.ts'
import { fromCursor, toCursor } from './cursor.ts'
import { arrayText } from './json-text.ts'

export interface EventDeps {
  readonly read: Kysely<AuditDatabase>
  readonly metrics: AuditMetrics
  /** Fires when the process stops, with the problem that those who still wait are answered with. */
  readonly stopping: AbortSignal
}

const eventCountSchema = z.object({
  count: z.int(),
  lookedAt: z.int(),
  complete: z.boolean().describe('false: there are more events than were looked at; narrow it by time'),
})

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
          data: z.object({
            events: z.array(auditEventSchema),
            lookedAt: z.int().describe('events that were compared with field, text or a pattern'),
            cursor: z.string().optional().describe('there may be more, also when this page has none'),
          }),
        }),
      },
    },
    async handler(request, reply) {
      const after = fromCursor(request.query.cursor, 'evt')
      const found = await findEvents(read, { ...request.query, ...(after !== undefined && { after }) })
      const cursor = found.goOnAfter === undefined ? '' : `,"cursor":"${toCursor(found.goOnAfter)}"`
      const events = arrayText(found.rows.map(eventText))
      const data = `{"events":${events},"lookedAt":${found.lookedAt}${cursor}}`
      return reply.type(JSON_TYPE).send(`{"success":true,"data":${data}}` as never)
    },
  })

  server.route({
    method: 'GET',
    url: '/v1/events/count',
    schema: {
      summary: 'How many events pass a filter',
      querystring: eventCountQuerySchema,
      response: { 200: z.object({ success: z.literal(true), data: eventCountSchema }) },
    },
    handler: async (request) => ({ success: true as const, data: await countEvents(read, request.query) }),
  })

  // An entity id may hold slashes, encoded or not, so the view is what stands after the last one.
  server.route({
    method: 'GET',
    url: '/v1/events/*',
    schema: {
      summary: 'GET /v1/events/{entityId}/chain and /v1/events/{entityId}/verify',
      params: z.object({ '*': z.string() }),
      querystring: z.strictObject({ namespace: recordedNamespaceSchema }),
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
      if (view === 'verify') return reply.send((await verdictText({ read, metrics, stopping }, key)) as never)
      if (!(await isKnown(read, key))) throw unknownEntity(key)
      return reply.send(Readable.from(chainTexts(read, key, stopping)) as never)
    },
  })
}

async function verdictText({ read, metrics, stopping }: EventDeps, key: ChainKey): Promise<string> {
  const finding = (await verifyEntity(read, key)) ?? (await nothingFound(read, stopping))
  metrics.verified.inc({ result: finding?.verdict ?? 'unknown' })
  if (!finding) throw unknownEntity(key)
  return JSON.stringify({ success: true, data: finding })
}

/** Never recorded, unless a trail has a hole: then it may have been, and who took it out must not be believed. */
async function nothingFound(read: Kysely<AuditDatabase>, abort: AbortSignal): Promise<ChainFinding | undefined> {
  const trail = (await verifyTrails(read, { abort })).find(({ valid }) => !valid)
  if (!trail) return undefined
  const reason = `Nothing is recorded of it now, but records of partition ${trail.partition} are missing, from ${trail.brokenAt} on: it may have been among them.`
  const fault = { verdict: 'unverifiable', level: 'trail', brokenAt: 0, reason } as const
  return { ...fault, valid: false, totalEvents: 0, erased: 0 }
}

/** The chain as it is read, page by page, so that one of any length is answered in little memory; the verdict comes last. */
async function* chainTexts(read: Kysely<AuditDatabase>, key: ChainKey, stopping: AbortSignal): AsyncGenerator<string> {
  const erasures = createErasures(read)
  const verifier = createChainVerifier(key, erasures)
  let head: ChainHead | null = (await readHead(read, key)) ?? null
  let separator = ''
  yield '{"success":true,"data":{"chain":['
  for await (const rows of walkChain(read, key)) {
    stopping.throwIfAborted()
    await erasures.learn(rows)
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

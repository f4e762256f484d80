import { randomBytes } from 'node:crypto'
import {
  type Hold,
  holdRequestSchema,
  holdSchema,
  nextPageSchema,
  ProblemError,
  problemSchema,
  releaseRequestSchema,
  TRAIL_EVENTS,
  wholePageSchema,
} from '@millrace/contracts'
import { type AppServer, type ListOrder, pageOf } from '@millrace/runtime'
import { z } from 'zod'
import { stateFact, waitUntilRecorded } from '../keeping/erase.ts'
import type { HoldRow } from '../store/schema.ts'
import type { EraseDeps } from './erase-route.ts'

const DONE_WITHIN_MS = 10_000
const NEWEST_FIRST: ListOrder<Hold> = { list: 'holds', keyOf: ({ placedAt, id }) => [placedAt, id], descending: true }

/** `GET`, `POST /v1/holds`, `POST /v1/holds/{id}/release`. */
export function addHoldRoutes(server: AppServer, { partitions, stopping, ...deps }: EraseDeps): void {
  const state = async (fact: Parameters<typeof stateFact>[1]) => {
    const eventId = await stateFact(partitions, fact)
    const recorded = await waitUntilRecorded(deps, eventId, { timeoutMs: DONE_WITHIN_MS, abort: stopping })
    if (recorded) return
    // A hold must not be believed in before it holds.
    throw new ProblemError(
      'store.unavailable',
      'It is stated in the log and not in force yet: the recorder is behind.',
      {
        retryAfterSeconds: 5,
      },
    )
  }
  const find = async (id: string): Promise<HoldRow> => {
    const row = await deps.read.selectFrom('holds').selectAll().where('id', '=', id).executeTakeFirst()
    if (row) return row
    throw new ProblemError('hold.unknown', `There is no hold "${id}". GET /v1/holds lists them.`)
  }

  server.route({
    method: 'GET',
    url: '/v1/holds',
    schema: {
      summary: 'Legal holds, the newest first',
      querystring: wholePageSchema.extend({
        released: z.stringbool().default(false).describe('also those that were released'),
      }),
      response: { 200: z.object({ holds: z.array(holdSchema), ...nextPageSchema }), 422: problemSchema },
    },
    async handler(request) {
      const { released, ...asked } = request.query
      const all = deps.read.selectFrom('holds').selectAll()
      const rows = await (released ? all : all.where('released_at_ms', 'is', null)).execute()
      const { items, ...next } = pageOf(rows.map(toHold), NEWEST_FIRST, asked)
      return { holds: items, ...next }
    },
  })

  server.route({
    method: 'POST',
    url: '/v1/holds',
    schema: {
      summary: 'Let no payload of a namespace, or of one entity, be destroyed until the hold is released',
      body: holdRequestSchema,
      response: { 201: holdSchema, 422: problemSchema, 503: problemSchema },
    },
    async handler(request, reply) {
      const { namespace, entityId, who, why } = request.body
      const holdId = `hold_${randomBytes(9).toString('base64url')}`
      const data = { holdId, namespace, ...(entityId !== undefined && { entityId }), who, why }
      await state({ type: TRAIL_EVENTS.holdPlaced, entityId: `hold/${holdId}`, data })
      return reply.status(201).send(toHold(await find(holdId)))
    },
  })

  server.route({
    method: 'POST',
    url: '/v1/holds/:id/release',
    schema: {
      summary: 'End a legal hold',
      params: z.object({ id: z.string().max(100) }),
      body: releaseRequestSchema,
      response: { 200: holdSchema, 404: problemSchema, 422: problemSchema, 503: problemSchema },
    },
    async handler(request) {
      const { id } = request.params
      const hold = await find(id)
      if (hold.released_at_ms === null) {
        const { who, why } = request.body
        await state({ type: TRAIL_EVENTS.holdReleased, entityId: `hold/${id}`, data: { holdId: id, who, why } })
      }
      return toHold(await find(id))
    },
  })
}

function toHold({ id, namespace, entity_id, who, why, placed_at_ms, released_at_ms }: HoldRow): Hold {
  return {
    ...{ id, namespace, who, why, placedAt: new Date(placed_at_ms).toISOString() },
    ...(entity_id !== null && { entityId: entity_id }),
    ...(released_at_ms !== null && { releasedAt: new Date(released_at_ms).toISOString() }),
  }
}

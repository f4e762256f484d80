import { randomBytes } from 'node:crypto'
import {
  deadLetterQuerySchema,
  deadLetterSchema,
  discardRequestSchema,
  letterGroupSchema,
  ProblemError,
  parseId,
  problemSchema,
  redriveRequestSchema,
  redriveSchema,
} from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { findDeadLetters, type Partitions, type RegistryView } from '@millrace/streams'
import { z } from 'zod'
import { discardNow, redriveNow } from '../dead-letters/letter-changes.ts'
import { groupLetters } from '../dead-letters/letter-groups.ts'
import { toDeadLetter } from '../dead-letters/letter-search.ts'
import { beginRedrive, toRedrive } from '../dead-letters/redrive-store.ts'
import type { DispatcherMetrics } from '../metrics.ts'
import { listLetters } from './letter-pages.ts'
import { letterAddress, letterAddresses, redrivableAddress } from './letter-queues.ts'

export interface DeadLetterDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: Pick<DispatcherMetrics, 'redriven'>
  /** A redrive was begun. */
  wakeRedriver(): void
}

/** Changed in one request; more is asked for again. */
const DEFAULT_LIMIT = 10_000
/** Looked at in one request, so that none takes longer than about a second. */
const MAX_LOOKED_AT = 10_000
const count = z.int().min(0)

/** `GET /dead-letters`, `/dead-letters/groups`, `/dead-letters/{id}`; `POST /dead-letters/redrive`, `/dead-letters/discard`. */
export function addDeadLetterRoutes(server: AppServer, deps: DeadLetterDeps): void {
  server.get(
    '/dead-letters',
    {
      schema: {
        summary: 'Dead letters, queue by queue, oldest first',
        querystring: deadLetterQuerySchema,
        response: {
          200: z.object({
            deadLetters: z.array(deadLetterSchema),
            lookedAt: count.describe('letters that were compared with the filter'),
            cursor: z.string().optional().describe('there may be more, also when this page has none'),
          }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { namespace, queue, limit, cursor, ...criteria } = request.query
      const addresses = await letterAddresses(deps, { namespace, queue })
      return listLetters(deps.partitions, { addresses, criteria, limit, maxLookedAt: MAX_LOOKED_AT, cursor })
    },
  )

  server.get(
    '/dead-letters/groups',
    {
      schema: {
        summary: 'Dead letters by the way they failed, the largest group first',
        querystring: deadLetterQuerySchema.pick({ namespace: true, queue: true }),
        response: {
          200: z.object({
            groups: z.array(letterGroupSchema),
            lookedAt: count,
            complete: z.boolean().describe('false: there are more letters than were looked at'),
          }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const addresses = await letterAddresses(deps, request.query)
      return groupLetters(deps.partitions, { addresses, maxLookedAt: MAX_LOOKED_AT })
    },
  )

  server.get(
    '/dead-letters/:id',
    {
      schema: {
        summary: 'One dead letter with its last response',
        params: z.object({ id: z.string() }),
        response: { 200: deadLetterSchema, 404: problemSchema },
      },
    },
    async (request) => {
      const { id } = request.params
      const partition = deps.partitions.byNumber(parseId(id)?.partition ?? -1)
      const [letter] = partition ? await findDeadLetters(partition, [id]) : []
      if (letter) return toDeadLetter(letter)
      throw new ProblemError('job.unknown', `${id} is not a dead letter. GET /dead-letters lists them.`)
    },
  )

  server.post(
    '/dead-letters/redrive',
    {
      schema: {
        summary: 'Put dead letters back into their queue: now, or with a rate, a canary or an id by and by',
        body: redriveRequestSchema,
        response: {
          200: z
            .union([z.object({ redriven: z.int(), ids: z.array(z.string()) }), redriveSchema])
            .describe('done, or how far the redrive with this id is'),
          202: redriveSchema.describe('begun; it goes on by itself'),
          404: problemSchema,
          409: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const { filter, limit = DEFAULT_LIMIT, ratePerSecond, canary, redriveId, who, why } = request.body
      const address = await redrivableAddress(deps, filter)
      const by = { who, ...(why !== undefined && { why }) }
      if (ratePerSecond === undefined && canary === undefined && redriveId === undefined) {
        const ids = await redriveNow(deps.partitions.of(address), { address, filter, limit, by })
        deps.metrics.redriven.inc({ namespace: filter.namespace, queue: filter.queue }, ids.length)
        return reply.send({ redriven: ids.length, ids })
      }
      const id = redriveId ?? `redrive_${randomBytes(9).toString('base64url')}`
      const { begun, state } = await beginRedrive(deps.partitions, { request: request.body, id, by })
      deps.wakeRedriver()
      return reply.status(begun ? 202 : 200).send(toRedrive(state))
    },
  )

  server.post(
    '/dead-letters/discard',
    {
      schema: {
        summary: 'Remove dead letters for good; their jobs stay counted as dead',
        body: discardRequestSchema,
        response: {
          200: z.object({ discarded: z.int(), ids: z.array(z.string()) }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { filter, limit = DEFAULT_LIMIT, who, why } = request.body
      const address = await letterAddress(deps, filter)
      const by = { who, why }
      const ids = await discardNow(deps.partitions.of(address), { address, filter, limit, by })
      return { discarded: ids.length, ids }
    },
  )
}

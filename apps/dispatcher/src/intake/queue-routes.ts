import {
  deadLetterSchema,
  namespaceSchema,
  ProblemError,
  problemSchema,
  queueCountsSchema,
  redriveRequestSchema,
} from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { fullAddress, listDeadLetters, type Partitions, queuesOf, type RegistryView, redrive } from '@millrace/streams'
import { z } from 'zod'
import { addressOf, readLiveQueues, toQueueCounts } from '../queue-counts.ts'
import { findDeclared, findService } from './find-queue.ts'

export interface QueueDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
}

/** Redriven in one request; more is asked for again. */
const DEFAULT_REDRIVE_LIMIT = 10_000

/** `GET /queues`, `GET /dead-letters`, `POST /dead-letters/redrive`. */
export function addQueueRoutes(server: AppServer, deps: QueueDeps): void {
  server.get(
    '/queues',
    {
      schema: {
        summary: 'Live counts of queues',
        querystring: z.strictObject({ namespace: namespaceSchema.optional() }),
        response: { 200: z.object({ queues: z.array(queueCountsSchema) }) },
      },
    },
    async (request) => {
      const { namespace } = request.query
      const services =
        namespace === undefined ? deps.registry.services() : [await findService(deps.registry, namespace)]
      const live = await readLiveQueues(deps.partitions, services.flatMap(queuesOf))
      return { queues: live.map(toQueueCounts) }
    },
  )

  server.get(
    '/dead-letters',
    {
      schema: {
        summary: 'Dead letters, queue by queue, oldest first',
        querystring: z.strictObject({
          namespace: namespaceSchema,
          queue: z
            .string()
            .min(1)
            .max(80)
            .optional()
            .describe('a queue, or schedule:<name>; without it all of the namespace'),
          limit: z.coerce.number().int().min(1).max(1000).default(100),
          cursor: z.string().max(200).optional(),
        }),
        response: {
          200: z.object({ deadLetters: z.array(deadLetterSchema), cursor: z.string().optional() }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { namespace, queue, limit, cursor } = request.query
      const service = await findService(deps.registry, namespace)
      const addresses =
        queue === undefined ? queuesOf(service).map(addressOf) : [await knownAddress(deps, namespace, queue)]
      return listAcross(deps.partitions, addresses, { limit, cursor })
    },
  )

  server.post(
    '/dead-letters/redrive',
    {
      schema: {
        summary: 'Put dead letters back into their queue',
        body: redriveRequestSchema,
        response: { 200: z.object({ redriven: z.int(), ids: z.array(z.string()) }), 404: problemSchema },
      },
    },
    async (request) => {
      const { filter, limit = DEFAULT_REDRIVE_LIMIT, who = 'api', why } = request.body
      const address = await knownAddress(deps, filter.namespace, filter.queue)
      const ids = await redrive(deps.partitions.of(address), { address, ids: filter.ids, limit, who, why })
      return { redriven: ids.length, ids }
    },
  )
}

async function knownAddress({ registry }: QueueDeps, namespace: string, queue: string): Promise<string> {
  const address = fullAddress(namespace, queue)
  await findDeclared(registry, address)
  return address
}

/** Pages go through the queues one after the other; the cursor says which queue and where in it. */
async function listAcross(
  partitions: Partitions,
  addresses: readonly string[],
  { limit, cursor }: { limit: number; cursor?: string | undefined },
) {
  let { index, after } = readCursor(cursor, addresses)
  const deadLetters = []
  while (index < addresses.length) {
    const address = addresses[index] as string
    const page = await listDeadLetters(partitions.of(address), {
      address,
      limit: limit - deadLetters.length,
      ...(after && { after }),
    })
    deadLetters.push(...page.letters)
    if (page.next) return { deadLetters, cursor: writeCursor(address, page.next) }
    index++
    after = undefined
    if (deadLetters.length === limit && index < addresses.length)
      return { deadLetters, cursor: writeCursor(addresses[index] as string, '') }
  }
  return { deadLetters }
}

function writeCursor(address: string, after: string): string {
  return Buffer.from(`${address} ${after}`).toString('base64url')
}

function readCursor(
  cursor: string | undefined,
  addresses: readonly string[],
): { index: number; after?: string | undefined } {
  if (cursor === undefined) return { index: 0 }
  const [address, after] = Buffer.from(cursor, 'base64url').toString().split(' ')
  const index = addresses.indexOf(address ?? '')
  if (index < 0 || (after !== '' && !/^\d+-\d+$/.test(after ?? ''))) {
    throw new ProblemError('request.invalid', 'cursor is not one that this list gave out for the same filter.', {
      errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }],
    })
  }
  return { index, after: after || undefined }
}

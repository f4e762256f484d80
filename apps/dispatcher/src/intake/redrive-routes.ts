import {
  bySchema,
  namespaceSchema,
  ProblemError,
  problemSchema,
  REQUEST_LIMITS,
  redriveSchema,
} from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import type { Partitions, RegistryView } from '@millrace/streams'
import { z } from 'zod'
import {
  findRedrive,
  listRedrives,
  orderOf,
  stopKnown,
  toRedrive,
  unknownRedrive,
} from '../dead-letters/redrive-store.ts'
import { findService } from './find-queue.ts'

export interface RedriveDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
}

const params = z.object({ id: z.string() })

/** `GET /redrives`, `GET /redrives/{id}`, `POST /redrives/{id}/stop`. */
export function addRedriveRoutes(server: AppServer, { registry, partitions }: RedriveDeps): void {
  server.get(
    '/redrives',
    {
      schema: {
        summary: 'Redrives of a namespace that go on by themselves, the newest first',
        querystring: z.strictObject({
          namespace: namespaceSchema,
          limit: z.coerce.number().int().min(1).max(REQUEST_LIMITS.pageItems.value).default(100),
          cursor: z.string().max(300).optional(),
        }),
        response: {
          200: z.object({ redrives: z.array(redriveSchema), cursor: z.string().optional() }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { namespace, limit, cursor } = request.query
      await findService(registry, namespace)
      const before = cursor === undefined ? undefined : readCursor(cursor)
      const all = await listRedrives(partitions, namespace)
      const rest = before === undefined ? all : all.filter((state) => orderOf(state) < before)
      const page = rest.slice(0, limit)
      const last = rest.length > limit ? page.at(-1) : undefined
      return {
        redrives: page.map(toRedrive),
        ...(last && { cursor: Buffer.from(orderOf(last)).toString('base64url') }),
      }
    },
  )

  server.get(
    '/redrives/:id',
    {
      schema: {
        summary: 'How far a redrive is',
        params,
        response: { 200: redriveSchema, 404: problemSchema },
      },
    },
    async (request) => {
      const { id } = request.params
      const known = await findRedrive(partitions, id)
      if (!known) throw unknownRedrive(id)
      return toRedrive(known.state)
    },
  )

  server.post(
    '/redrives/:id/stop',
    {
      schema: {
        summary: 'Stop a redrive; what it has put back stays, and one that is over stays as it is',
        params,
        body: z.strictObject(bySchema),
        response: { 200: redriveSchema, 404: problemSchema },
      },
    },
    async (request) => {
      const { who, why } = request.body
      const by = { who, ...(why !== undefined && { why }) }
      return toRedrive(await stopKnown(partitions, { id: request.params.id, by }))
    },
  )
}

function readCursor(cursor: string): string {
  const order = Buffer.from(cursor, 'base64url').toString()
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z \S+$/.test(order)) return order
  throw new ProblemError('request.invalid', 'cursor is not one that this list gave out.', {
    errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }],
  })
}

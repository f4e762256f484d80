import type { KeyStore } from '@millrace/access'
import {
  issuedKeySchema,
  keyRequestSchema,
  keyRevocationSchema,
  keyRotationSchema,
  keySchema,
  nextPageSchema,
  parseGrant,
  problemSchema,
  wholePageSchema,
} from '@millrace/contracts'
import { type AppServer, pageOf } from '@millrace/runtime'
import { z } from 'zod'

const params = z.object({ id: z.string().max(100) })

/** `/keys`: make, list, rotate and revoke API keys. */
export function addKeyRoutes(server: AppServer, { keys }: { keys: KeyStore }): void {
  server.post(
    '/keys',
    {
      schema: {
        summary: 'Make an API key; the answer is the only place where it is shown',
        body: keyRequestSchema,
        response: { 201: issuedKeySchema, 422: problemSchema },
      },
    },
    async (request, reply) => {
      const { name, grants, expiresAt, who, why } = request.body
      const parsed = grants.flatMap((text) => parseGrant(text) ?? [])
      return reply.status(201).send(await keys.create({ name, grants: parsed, expiresAt }, { who, why }))
    },
  )

  server.get(
    '/keys',
    {
      schema: {
        summary: 'API keys, without their secrets, oldest first',
        querystring: wholePageSchema,
        response: { 200: z.object({ keys: z.array(keySchema), ...nextPageSchema }), 422: problemSchema },
      },
    },
    async (request) => {
      const { items, ...next } = pageOf(
        await keys.list(),
        { list: 'keys', keyOf: ({ createdAt, id }) => [createdAt, id] },
        request.query,
      )
      return { keys: items, ...next }
    },
  )

  server.post(
    '/keys/:id/rotate',
    {
      schema: {
        summary: 'Give a key a new secret; the old one works for a while beside it',
        params,
        body: keyRotationSchema,
        response: { 200: issuedKeySchema, 404: problemSchema, 409: problemSchema },
      },
    },
    async (request) => {
      const { graceSeconds, who, why } = request.body
      return keys.rotate(request.params.id, graceSeconds, { who, why })
    },
  )

  server.post(
    '/keys/:id/revoke',
    {
      schema: {
        summary: 'Refuse a key from now on',
        params,
        body: keyRevocationSchema,
        response: { 200: keySchema, 404: problemSchema },
      },
    },
    async (request) => {
      const { who, why } = request.body
      return keys.revoke(request.params.id, { who, why })
    },
  )
}

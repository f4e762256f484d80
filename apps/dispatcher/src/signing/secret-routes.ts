import type { SecretStore } from '@millrace/access'
import {
  issuedSecretSchema,
  namespaceSchema,
  problemSchema,
  resealedSchema,
  resealSchema,
  secretRevocationSchema,
  secretRotationSchema,
  signingSecretSchema,
} from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { z } from 'zod'

const params = z.object({ namespace: namespaceSchema })
const secretParams = params.extend({ id: z.string().max(100) })

/** `/services/{namespace}/secrets`: what the deliveries of a namespace are signed with. */
export function addSecretRoutes(server: AppServer, secrets: SecretStore): void {
  server.get(
    '/services/:namespace/secrets',
    {
      schema: {
        summary: 'The signing secrets of a namespace, without what they sign with',
        params,
        response: { 200: z.object({ secrets: z.array(signingSecretSchema) }) },
      },
    },
    async (request) => ({ secrets: await secrets.list(request.params.namespace) }),
  )

  server.post(
    '/services/:namespace/secrets/rotate',
    {
      schema: {
        summary: 'Give a namespace a signing secret, or a new one; the answer is the only place where it is shown',
        params,
        body: secretRotationSchema,
        response: { 201: issuedSecretSchema, 409: problemSchema, 422: problemSchema },
      },
    },
    async (request, reply) => {
      const { kind, graceSeconds, who, why } = request.body
      const issued = await secrets.rotate(request.params.namespace, { kind, graceSeconds }, { who, why })
      return reply.status(201).send(issued)
    },
  )

  server.post(
    '/services/:namespace/secrets/:id/revoke',
    {
      schema: {
        summary: 'Sign nothing with a secret from now on',
        params: secretParams,
        body: secretRevocationSchema,
        response: { 200: signingSecretSchema, 404: problemSchema, 409: problemSchema },
      },
    },
    async (request) => {
      const { namespace, id } = request.params
      const { who, why } = request.body
      return secrets.revoke(namespace, id, { who, why })
    },
  )

  server.post(
    '/secrets/reseal',
    {
      schema: {
        summary: 'Seal with the first master key what another one has sealed',
        body: resealSchema,
        response: { 200: resealedSchema },
      },
    },
    async (request) => ({ resealed: await secrets.reseal(request.body) }),
  )
}

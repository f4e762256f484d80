import { namespaceSchema, problemSchema } from '@millrace/contracts'
import { buildAsyncApi } from '@millrace/engine'
import { type AppServer, type Clock, VERSION } from '@millrace/runtime'
import { type RegistryView, readTypes } from '@millrace/streams'
import type { FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import { findService } from '../intake/find-queue.ts'

export interface AsyncApiDeps {
  readonly registry: RegistryView
  readonly redis: Redis
  readonly clock: Clock
}

/** `GET /asyncapi.json`. */
export function addAsyncApiRoute(server: AppServer, deps: AsyncApiDeps): void {
  server.get(
    '/asyncapi.json',
    {
      schema: {
        summary: 'What a service publishes and consumes, or all of them, as AsyncAPI 3.0',
        querystring: z.strictObject({ namespace: namespaceSchema.optional().describe('only this service') }),
        response: {
          200: z.record(z.string(), z.unknown()).describe('an AsyncAPI 3.0 document'),
          404: problemSchema,
        },
      },
    },
    async (request) => {
      const { namespace } = request.query
      const seen = await readTypes(deps.redis, deps.clock.now())
      // Whoever publishes needs no service; of who does not there is nothing to say without one.
      if (namespace !== undefined && !seen.has(namespace)) await findService(deps.registry, namespace)
      const services = deps.registry.services().toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1))
      const described =
        namespace === undefined ? [...services.map((service) => service.namespace), ...seen.keys()] : [namespace]
      return buildAsyncApi({
        title: namespace === undefined ? 'Events on Millrace' : `Events of ${namespace}`,
        // The version of a service rises with each change of its manifest.
        version: String((namespace && deps.registry.service(namespace)?.version) || VERSION),
        publishUrl: addressOf(request),
        described: new Set(described),
        services,
        seen,
      })
    },
  )
}

/** As the reader sees it; a `Host` that is none must not break the document. */
function addressOf({ protocol, host }: Pick<FastifyRequest, 'protocol' | 'host'>): string {
  const address = `${protocol}://${host}`
  return /^[\w.:[\]-]+$/.test(host) && URL.canParse(address) ? address : `${protocol}://127.0.0.1`
}

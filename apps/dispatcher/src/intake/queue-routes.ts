import { namespaceSchema, nextPageSchema, problemSchema, queueCountsSchema, wholePageSchema } from '@millrace/contracts'
import { type AppServer, type ListOrder, pageOf } from '@millrace/runtime'
import { type Partitions, queuesOf, type RegisteredQueue, type RegistryView } from '@millrace/streams'
import { z } from 'zod'
import { labelsOf, readLiveQueues, toQueueCounts } from '../queue-counts.ts'
import { findService } from './find-queue.ts'

export interface QueueDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
}

const BY_NAME: ListOrder<RegisteredQueue> = {
  list: 'queues',
  keyOf(registered) {
    const { namespace, queue } = labelsOf(registered)
    return [namespace, queue]
  },
}

/** `GET /queues`. */
export function addQueueRoutes(server: AppServer, deps: QueueDeps): void {
  server.get(
    '/queues',
    {
      schema: {
        summary: 'Live counts of queues, by namespace and name',
        querystring: wholePageSchema.extend({ namespace: namespaceSchema.optional() }),
        response: {
          200: z.object({ queues: z.array(queueCountsSchema), ...nextPageSchema }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { namespace, ...asked } = request.query
      const services =
        namespace === undefined ? deps.registry.services() : [await findService(deps.registry, namespace)]
      const { items, ...next } = pageOf(services.flatMap(queuesOf), BY_NAME, asked)
      const live = await readLiveQueues(deps.partitions, items)
      return { queues: live.map(toQueueCounts), ...next }
    },
  )
}

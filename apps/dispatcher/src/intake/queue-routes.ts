import { namespaceSchema, queueCountsSchema } from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { type Partitions, queuesOf, type RegistryView } from '@millrace/streams'
import { z } from 'zod'
import { readLiveQueues, toQueueCounts } from '../queue-counts.ts'
import { findService } from './find-queue.ts'

export interface QueueDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
}

/** `GET /queues`. */
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
}

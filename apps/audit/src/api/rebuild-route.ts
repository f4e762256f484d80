import { bySchema } from '@millrace/contracts'
import { wrapEmitted } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import { emit, type Partitions } from '@millrace/streams'
import { z } from 'zod'
import type { Rebuilder, RebuildStatus } from '../read-models/rebuilder.ts'

const statusSchema = z.object({
  state: z.enum(['never', 'running', 'done', 'failed']).describe('of this process, since it was started'),
  records: z.int().describe('records folded so far'),
  of: z.int().describe('records that there are'),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  error: z.string().optional(),
})

/** `POST /v1/rebuild`: make the read models again from the records. `GET /v1/rebuild`: how far that is. */
export function addRebuildRoutes(
  server: AppServer,
  { rebuilder, partitions }: { rebuilder: Rebuilder; partitions: Partitions },
): void {
  server.route({
    method: 'POST',
    url: '/v1/rebuild',
    schema: {
      summary: 'Make the read models again from the records; recording and reading go on meanwhile',
      body: z.strictObject({ ...bySchema }),
      response: { 202: statusSchema },
    },
    async handler(request, reply) {
      const { who, why } = request.body
      const how = { method: 'POST', path: '/v1/rebuild' }
      const data = wrapEmitted({ who, ...(why !== undefined && { why }), where: { ip: request.ip }, how, data: '{}' })
      const entity = { namespace: 'millrace', entityId: 'read-models' }
      const partition = partitions.of('millrace/read-models')
      await emit(partition, [{ kind: 'audit', type: 'read_models.rebuild_started', ...entity, data }])
      return reply.status(202).send(view(rebuilder.start()))
    },
  })
  server.route({
    method: 'GET',
    url: '/v1/rebuild',
    schema: { summary: 'How far the rebuild of the read models is', response: { 200: statusSchema } },
    handler: async () => view(rebuilder.status()),
  })
}

function view({ startedAtMs, endedAtMs, ...rest }: RebuildStatus): z.infer<typeof statusSchema> {
  return {
    ...rest,
    ...(startedAtMs !== undefined && { startedAt: new Date(startedAtMs).toISOString() }),
    ...(endedAtMs !== undefined && { endedAt: new Date(endedAtMs).toISOString() }),
  }
}

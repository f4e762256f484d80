import { namespaceSchema, ProblemError, problemSchema } from '@millrace/contracts'
import { type AppServer, type EventStreams, SSE_ROUTE } from '@millrace/runtime'
import { z } from 'zod'
import { openGroupProgress } from '../progress/group-progress.ts'
import { openProgress, type ProgressDeps } from '../progress/job-progress.ts'
import type { FeedKey } from '../progress/log-feed.ts'

export interface ProgressRouteDeps extends ProgressDeps {
  readonly streams: EventStreams
}

const responses = {
  200: z.string().describe('text/event-stream of state, progress and end'),
  404: problemSchema,
  503: problemSchema,
}
const groupSchema = z
  .strictObject({
    namespace: namespaceSchema,
    process: z.string().min(1).max(200).optional().describe('reports with this process'),
    userId: z.string().min(1).max(200).optional().describe('reports for this user'),
  })
  .refine(({ process, userId }) => (process === undefined) !== (userId === undefined), 'say either process or userId')

/**
 * `GET /v1/jobs/{id}/progress/stream` and `GET /v1/progress/stream`: Server-Sent Events. `state` says how a job stands,
 * `progress` what was reported, `end` how it ended, with which the stream of one job closes. A client that has seen that
 * end gets 204, at which a browser's EventSource stops coming back.
 */
export function addProgressRoutes(server: AppServer, deps: ProgressRouteDeps): void {
  server.route({
    method: 'GET',
    url: '/v1/jobs/:id/progress/stream',
    sse: SSE_ROUTE,
    schema: {
      summary: 'How far a job is, as Server-Sent Events, until it is at its end',
      params: z.object({ id: z.string() }),
      headers: z.object({ 'last-event-id': z.string().optional() }).loose(),
      response: { ...responses, 204: z.null().describe('the client has seen the end already') },
    },
    async handler(request, reply) {
      const { id } = request.params
      const seen = request.headers['last-event-id']
      return deps.streams.run(reply, async (stream) => {
        const progress = await openProgress(deps, id)
        if (!progress) throw new ProblemError('job.unknown', `There is no job ${id} in the trail.`)
        try {
          request.requireNamespace(progress.namespace)
          const first = progress.begin()
          if (first.kind === 'end' && first.id === seen) return reply.status(204).send(null)
          stream.begin()
          if (first.id !== seen) await stream.send(first)
          if (first.kind === 'end') return undefined
          for await (const message of progress.following(stream.over)) await stream.send(message)
        } finally {
          progress.close()
        }
      })
    },
  })

  server.route({
    method: 'GET',
    url: '/v1/progress/stream',
    sse: SSE_ROUTE,
    schema: {
      summary: 'What is reported of a process or for a user from now on, as Server-Sent Events',
      querystring: groupSchema,
      response: responses,
    },
    async handler(request, reply) {
      const { namespace, process, userId } = request.query
      const key: FeedKey = process === undefined ? `user:${namespace}/${userId}` : `process:${namespace}/${process}`
      return deps.streams.run(reply, async (stream) => {
        const progress = await openGroupProgress(deps, key)
        try {
          stream.begin()
          for await (const message of progress.following(stream.over)) await stream.send(message)
        } finally {
          progress.close()
        }
      })
    },
  })
}

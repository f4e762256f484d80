import { namespaceSchema, ProblemError, problemSchema } from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { openGroupProgress } from '../progress/group-progress.ts'
import { openProgress, type ProgressDeps } from '../progress/job-progress.ts'
import type { FeedKey } from '../progress/log-feed.ts'
import type { ProgressMessage } from '../progress/outbox.ts'

export interface ProgressRouteDeps extends ProgressDeps {
  /** Streams that may be open at once in this process. */
  readonly maxStreams: number
  readonly openStreams: { set(count: number): void }
  /** Fires when the process stops. */
  readonly stopping: AbortSignal
}

/** Often enough for any proxy that cuts off quiet connections, and to find out soon who has gone without a word. */
export const HEARTBEAT_MS = 5000
const RETRY_AFTER_SECONDS = 5

const responses = {
  200: z.string().describe('text/event-stream of state, progress and end'),
  404: problemSchema,
  503: problemSchema,
}
// The messages are JSON text already.
const sse = { kind: 'manual', serializer: (data: unknown) => data as string } as const

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
  let open = 0
  /** Counted against the limit while it runs; `over` fires when the client has gone or the process stops. */
  const streaming = async <Sent>(reply: FastifyReply, run: (over: AbortSignal) => Promise<Sent>): Promise<Sent> => {
    if (open >= deps.maxStreams) {
      throw new ProblemError('stream.too_many', `${open} streams are open in this process, and more are not allowed.`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      })
    }
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    deps.openStreams.set(++open)
    try {
      return await run(AbortSignal.any([gone.signal, deps.stopping]))
    } finally {
      deps.openStreams.set(--open)
    }
  }

  server.route({
    method: 'GET',
    url: '/v1/jobs/:id/progress/stream',
    sse,
    schema: {
      summary: 'How far a job is, as Server-Sent Events, until it is at its end',
      params: z.object({ id: z.string() }),
      headers: z.object({ 'last-event-id': z.string().optional() }).loose(),
      response: { ...responses, 204: z.null().describe('the client has seen the end already') },
    },
    async handler(request, reply) {
      const { id } = request.params
      const seen = request.headers['last-event-id']
      return streaming(reply, async (over) => {
        const progress = await openProgress(deps, id)
        if (!progress) throw new ProblemError('job.unknown', `There is no job ${id} in the trail.`)
        try {
          request.requireNamespace(progress.namespace)
          const first = progress.begin()
          if (first.kind === 'end' && first.id === seen) return reply.status(204).send(null)
          begin(reply)
          if (first.id !== seen) await send(reply, first, over)
          if (first.kind === 'end') return undefined
          for await (const message of progress.following(over)) await send(reply, message, over)
        } finally {
          progress.close()
        }
      })
    },
  })

  server.route({
    method: 'GET',
    url: '/v1/progress/stream',
    sse,
    schema: {
      summary: 'What is reported of a process or for a user from now on, as Server-Sent Events',
      querystring: groupSchema,
      response: responses,
    },
    async handler(request, reply) {
      const { namespace, process, userId } = request.query
      const key: FeedKey = process === undefined ? `user:${namespace}/${userId}` : `process:${namespace}/${process}`
      return streaming(reply, async (over) => {
        const progress = await openGroupProgress(deps, key)
        try {
          begin(reply)
          for await (const message of progress.following(over)) await send(reply, message, over)
        } finally {
          progress.close()
        }
      })
    },
  })
}

function begin(reply: FastifyReply): void {
  // A connection kept open after its stream would hold a stop up.
  reply.header('connection', 'close')
  reply.sse.sendHeaders()
  // Node keeps headers back until the first byte of a body, which may be long in coming.
  reply.raw.flushHeaders()
}

/** A write waits for a slow client; nobody waits for one that has gone. */
async function send(reply: FastifyReply, { kind, id, data }: ProgressMessage, over: AbortSignal): Promise<void> {
  const ended = Promise.withResolvers<void>()
  const end = () => ended.resolve()
  over.addEventListener('abort', end, { once: true })
  if (over.aborted) end()
  const sent = reply.sse.send({ event: kind, data, ...(id !== undefined && { id }) })
  // It rejects only because the connection is closed, which `over` says as well.
  await Promise.race([sent.catch(end), ended.promise])
  over.removeEventListener('abort', end)
}

import { setMaxListeners } from 'node:events'
import { namespaceSchema, problemSchema, REQUEST_LIMITS, typePatternSchema } from '@millrace/contracts'
import { type AppServer, limitOpen, openEventStreams, SSE_ROUTE } from '@millrace/runtime'
import type { Partition } from '@millrace/streams'
import { z } from 'zod'
import type { Grants } from '../router/subscription-view.ts'
import { formatCursor, placeIn } from './event-cursor.ts'
import { type Missed, readPage } from './event-feed.ts'
import { createFeedReaders } from './feed-readers.ts'

export interface FeedDeps {
  readonly sources: readonly Partition[]
  readonly grants: Grants
  /** So many may wait at once, in requests and streams together. */
  readonly maxReaders: number
}

const MAX_WAIT_SECONDS = 30
const STREAM_PAGE = 200

const types = z
  .string()
  .max(5000)
  .default('')
  .transform((text) => text.split(',').filter((type) => type !== ''))
  .pipe(z.array(typePatternSchema).max(100))
  .describe('types with commas between, such as order.*,invoice.sent; none is all that services publish')
const namespace = namespaceSchema.optional().describe('who reads: only its own platform events are shown')

/** `GET /events` with long poll, `GET /events/stream` as server-sent events. */
export async function addFeedRoutes(server: AppServer, { sources, grants, maxReaders }: FeedDeps): Promise<void> {
  const readers = createFeedReaders(sources)
  const enter = limitOpen({ max: maxReaders })
  const stopping = new AbortController()
  // Every stream listens to it; there is no number of them that would be a leak.
  setMaxListeners(0, stopping.signal)
  server.addHook('preClose', async () => stopping.abort())
  const streams = await openEventStreams(server, { enter, stopping: stopping.signal })

  server.get(
    '/events',
    {
      schema: {
        summary: 'Read events, from a place on',
        querystring: z.strictObject({
          types,
          namespace,
          after: z
            .string()
            .max(2000)
            .default('earliest')
            .describe('cursor of the last answer, earliest, now, a time, or the id of an event'),
          limit: z.coerce.number().int().min(1).max(REQUEST_LIMITS.pageItems.value).default(100),
          wait: z.coerce
            .number()
            .min(0)
            .max(MAX_WAIT_SECONDS)
            .default(0)
            .describe('seconds to wait for the first event'),
        }),
        response: {
          200: z.object({
            events: z.array(z.unknown()).describe('CloudEvents'),
            cursor: z.string(),
            missed: z
              .object({ since: z.string(), until: z.string() })
              .optional()
              .describe('the log no longer has all of this time; the audit trail has'),
          }),
          422: problemSchema,
          503: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const { after, wait, limit, types, namespace = '' } = request.query
      const gone = new AbortController()
      request.raw.once('close', () => gone.abort())
      const until = Date.now() + wait * 1000
      let positions = await placeIn(sources, after)
      let missed: Missed | undefined
      const leave = wait > 0 ? enter() : () => undefined
      reply.raw.once('close', leave)
      for (;;) {
        const page = await readPage(sources, positions, { types, namespace, limit, grants })
        positions = page.positions
        missed ??= page.missed
        const over = page.events.length > 0 || missed !== undefined || (page.atEnd && Date.now() >= until)
        if (over || gone.signal.aborted || stopping.signal.aborted) {
          const events = page.events.map(({ json }) => json).join(',')
          const gap = missed ? `,"missed":${JSON.stringify(missed)}` : ''
          return reply
            .type('application/json')
            .serializer((text: string) => text)
            .send(`{"events":[${events}],"cursor":"${formatCursor(positions)}"${gap}}` as never)
        }
        if (page.atEnd)
          await readers.wait(positions, { until, isOver: () => gone.signal.aborted || stopping.signal.aborted })
      }
    },
  )

  server.route({
    method: 'GET',
    url: '/events/stream',
    sse: SSE_ROUTE,
    schema: {
      summary: 'Events as they come (server-sent events); Last-Event-ID goes on where the stream broke',
      querystring: z.strictObject({
        types,
        namespace,
        after: z.string().max(2000).default('now').describe('where to begin without Last-Event-ID'),
      }),
      response: {
        200: z.string().describe('text/event-stream of cloudevent, missed and cut'),
        422: problemSchema,
        503: problemSchema,
      },
    },
    async handler(request, reply) {
      const { types, namespace = '' } = request.query
      const last = request.headers['last-event-id']
      const after = typeof last === 'string' && last !== '' ? last : request.query.after
      let positions = await placeIn(sources, after)
      return streams.run(reply, async (stream) => {
        stream.begin()
        while (!stream.over.aborted) {
          const asked = { types, namespace, limit: STREAM_PAGE, grants }
          const page = await readPage(sources, positions, asked).catch(() => undefined)
          if (!page) {
            stream.cut('unavailable', 'The log cannot be read just now; come again with Last-Event-ID.')
            return
          }
          positions = page.positions
          // Without an id, so that a client that comes again before it has got an event is told again.
          if (page.missed) await stream.send({ kind: 'missed', data: JSON.stringify(page.missed) })
          for (const { cursor, json } of page.events) await stream.send({ kind: 'cloudevent', id: cursor, data: json })
          const wait = { until: Number.POSITIVE_INFINITY, isOver: () => stream.over.aborted }
          if (page.atEnd) await readers.wait(positions, wait).catch(() => undefined)
        }
      })
    },
  })
}

import { once } from 'node:events'
import { namespaceSchema, problemSchema, REQUEST_LIMITS, typePatternSchema } from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { logEnds, type Partition } from '@millrace/streams'
import { z } from 'zod'
import type { Grants } from '../router/subscription-view.ts'
import { formatCursor, parseAfter } from './event-cursor.ts'
import { type FedEvent, readPage } from './event-feed.ts'
import { createFeedReaders } from './feed-readers.ts'

export interface FeedDeps {
  readonly sources: readonly Partition[]
  readonly grants: Grants
  /** So many may wait at once, in requests and streams together. */
  readonly maxReaders: number
}

const MAX_WAIT_SECONDS = 30
/** Proxies close a connection that is silent for a minute. */
const HEARTBEAT_MS = 15_000
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
export function addFeedRoutes(server: AppServer, { sources, grants, maxReaders }: FeedDeps): void {
  const readers = createFeedReaders(sources, maxReaders)
  let closing = false
  server.addHook('preClose', async () => {
    closing = true
  })

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
          200: z.object({ events: z.array(z.unknown()).describe('CloudEvents'), cursor: z.string() }),
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
      let positions = parseAfter(after, await logEnds(sources))
      const leave = wait > 0 ? readers.enter() : () => undefined
      reply.raw.once('close', leave)
      for (;;) {
        const page = await readPage(sources, positions, { types, namespace, limit, grants })
        positions = page.positions
        const over = page.events.length > 0 || (page.atEnd && Date.now() >= until)
        if (over || gone.signal.aborted || closing) {
          const events = page.events.map(({ json }) => json).join(',')
          return reply
            .type('application/json')
            .serializer((text: string) => text)
            .send(`{"events":[${events}],"cursor":"${formatCursor(positions)}"}` as never)
        }
        if (page.atEnd) await readers.wait(positions, { until, isOver: () => gone.signal.aborted || closing })
      }
    },
  )

  server.get(
    '/events/stream',
    {
      schema: {
        summary: 'Events as they come (server-sent events); Last-Event-ID goes on where the stream broke',
        querystring: z.strictObject({
          types,
          namespace,
          after: z.string().max(2000).default('now').describe('where to begin without Last-Event-ID'),
        }),
      },
    },
    async (request, reply) => {
      const { types, namespace = '' } = request.query
      const last = request.headers['last-event-id']
      const after = typeof last === 'string' && last !== '' ? last : request.query.after
      let positions = parseAfter(after, await logEnds(sources))
      const leave = readers.enter()
      const stream = reply.hijack().raw
      stream.once('close', leave)
      stream.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' })
      stream.write(': connected\n\n')
      let spokenAt = Date.now()
      while (!stream.destroyed && !closing) {
        const page = await readPage(sources, positions, { types, namespace, limit: STREAM_PAGE, grants }).catch(
          () => undefined,
        )
        // Redis is away: the reader goes on at another dispatcher, or at this one later.
        if (!page) break
        positions = page.positions
        if (page.events.length > 0 || Date.now() - spokenAt >= HEARTBEAT_MS) {
          spokenAt = Date.now()
          const text = page.events.length > 0 ? page.events.map(frame).join('') : ': still here\n\n'
          if (!stream.write(text)) await Promise.race([once(stream, 'drain'), once(stream, 'close')])
        }
        const wait = { until: spokenAt + HEARTBEAT_MS, isOver: () => stream.destroyed || closing }
        if (page.atEnd) await readers.wait(positions, wait).catch(() => undefined)
      }
      stream.end()
    },
  )
}

/** One event in the wire format; a line break inside JSON would end it. */
function frame({ cursor, json }: FedEvent): string {
  const lines = json.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`)
  return `id: ${cursor}\nevent: cloudevent\n${lines.join('')}\n`
}

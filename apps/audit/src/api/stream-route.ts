import { JOB_STATES, LEDGER_STATES, namespaceSchema, problemSchema } from '@millrace/contracts'
import { type AppServer, type EventStreams, SSE_ROUTE } from '@millrace/runtime'
import { z } from 'zod'
import { parseSeen } from '../changes/change-cursor.ts'
import type { ChangeFeed } from '../changes/change-feed.ts'
import { TOLD_TABLES } from '../changes/changed-rows.ts'
import { StoreError } from '../store/store-error.ts'
import { ATTEMPT_OUTCOMES } from './row-views.ts'

const STATES = [...new Set([...JOB_STATES, ...ATTEMPT_OUTCOMES, ...LEDGER_STATES])]

const querySchema = z.strictObject({
  namespace: namespaceSchema.optional(),
  queue: z.string().min(1).max(80).optional().describe('its address: send-mail, schedule:nightly-sync, …'),
  models: z
    .string()
    .max(200)
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(TOLD_TABLES)).transform((names) => new Set(names)))
    .optional()
    .describe(`with commas between, of ${TOLD_TABLES.join(', ')}; without it all but queue_stats`),
  state: z
    .enum(STATES as [string, ...string[]])
    .optional()
    .describe('of a job or a tick, or the outcome of an attempt; what has none is left out'),
  cursor: z.string().max(2000).optional().describe('the id of an event, to go on behind it, as Last-Event-ID does'),
})

/** `GET /v1/stream`: what changes in the read models, as server-sent events. */
export function addStreamRoute(
  server: AppServer,
  { feed, streams }: { readonly feed: ChangeFeed; readonly streams: EventStreams },
): void {
  server.route({
    method: 'GET',
    url: '/v1/stream',
    sse: SSE_ROUTE,
    schema: {
      summary:
        'What changes in jobs, attempts, schedules, ticks, subscriptions, gas and statistics, as Server-Sent Events',
      querystring: querySchema,
      headers: z.object({ 'last-event-id': z.string().max(2000).optional() }).loose(),
      response: {
        200: z
          .string()
          .describe(
            'text/event-stream of begin, job, attempt, schedule, tick, subscription, gas, queue_stats, place, cut',
          ),
        422: problemSchema,
        503: problemSchema,
      },
    },
    async handler(request, reply) {
      const { cursor, models: tables, ...filter } = request.query
      const last = request.headers['last-event-id']
      const from =
        last !== undefined && last !== ''
          ? parseSeen(last, '/headers/last-event-id')
          : cursor === undefined
            ? await feed.now()
            : parseSeen(cursor, '/cursor')
      return streams.run(reply, async (stream) => {
        stream.begin()
        try {
          for await (const message of feed.follow(from, { filter: { ...filter, tables }, over: stream.over }))
            await stream.send(message)
        } catch (error) {
          if (!(error instanceof StoreError)) throw error
          stream.cut('unavailable', 'The audit store cannot be read just now; come again with Last-Event-ID.')
        }
      })
    },
  })
}

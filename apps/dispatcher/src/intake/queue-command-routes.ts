import { randomBytes } from 'node:crypto'
import {
  drainRequestSchema,
  namespaceSchema,
  ProblemError,
  pauseRequestSchema,
  problemSchema,
  purgeRequestSchema,
} from '@millrace/contracts'
import type { AppServer, Clock } from '@millrace/runtime'
import {
  type Counts,
  fullAddress,
  imbalance,
  type Partitions,
  PURGE_TOKEN_MS,
  pause,
  purge,
  type RegistryView,
  readCounts,
  requestPurge,
  splitAddress,
} from '@millrace/streams'
import { z } from 'zod'
import type { DispatcherMetrics } from '../metrics.ts'
import { findDeclared } from './find-queue.ts'

export interface QueueCommandDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly clock: Clock
  readonly metrics: DispatcherMetrics
}

const params = z.object({
  namespace: namespaceSchema,
  name: z.string().min(1).max(80).describe('a queue, or schedule:<name>'),
})
const count = z.int().min(0)
const pauseResult = z.enum(['paused', 'draining', 'resumed', 'unchanged'])

/** `POST /queues/{ns}/{name}/pause|drain|resume|purge`, `GET /queues/{ns}/{name}/balance`. */
export function addQueueCommandRoutes(server: AppServer, deps: QueueCommandDeps): void {
  for (const action of ['pause', 'resume'] as const) {
    server.post(
      `/queues/:namespace/:name/${action}`,
      {
        schema: {
          summary:
            action === 'pause'
              ? 'Pause a queue, or one key of it, until it is resumed'
              : 'Resume a paused queue or key',
          params,
          body: pauseRequestSchema,
          response: {
            200: z.object({ result: pauseResult }),
            404: problemSchema,
            422: problemSchema,
          },
        },
      },
      async (request) => {
        const { key, who, why } = request.body
        const { address, definition } = await find(deps, request.params)
        if (key !== undefined && definition.keyConcurrency === undefined) {
          throw new ProblemError('request.invalid', 'The queue has no keyConcurrency, so it has no keys to pause.', {
            errors: [{ pointer: '/key', detail: 'needs a queue with keyConcurrency' }],
          })
        }
        const by = { who, ...(why !== undefined && { why }), at: new Date(deps.clock.now()).toISOString() }
        return {
          result: await pause(deps.partitions.of(address), { action, address, by, ...(key !== undefined && { key }) }),
        }
      },
    )
  }

  server.post(
    '/queues/:namespace/:name/drain',
    {
      schema: {
        summary: 'Refuse new jobs and deliver what is in, until the queue is resumed',
        params,
        body: drainRequestSchema,
        response: { 200: z.object({ result: pauseResult }), 404: problemSchema, 422: problemSchema },
      },
    },
    async (request) => {
      const { who, why } = request.body
      const { address, definition } = await find(deps, request.params)
      if (definition.kind === 'schedule') {
        throw new ProblemError(
          'request.invalid',
          'The jobs of a schedule are its ticks; nobody else puts any in. Pause it instead.',
          {
            errors: [{ pointer: '/name', detail: 'must be a queue that producers enqueue into, or a subscription' }],
          },
        )
      }
      const by = { who, why, at: new Date(deps.clock.now()).toISOString() }
      return { result: await pause(deps.partitions.of(address), { action: 'drain', address, by }) }
    },
  )

  server.post(
    '/queues/:namespace/:name/purge',
    {
      schema: {
        summary: 'Cancel everything that waits: first without a token to count, then with it',
        params,
        body: purgeRequestSchema,
        response: {
          200: z.union([
            z
              .object({ waiting: count, scheduled: count, token: z.string(), expiresInMs: count })
              .describe('what a purge would cancel (scheduled jobs stay), and the token to do it'),
            z.object({ purged: count }),
          ]),
          404: problemSchema,
          409: problemSchema,
        },
      },
    },
    async (request) => {
      const { token, who, why } = request.body
      const { address } = await find(deps, request.params)
      const partition = deps.partitions.of(address)
      const by = { who, ...(why !== undefined && { why }) }
      if (token === undefined) {
        const fresh = `purge_${randomBytes(9).toString('base64url')}`
        return {
          ...(await requestPurge(partition, { address, token: fresh, by })),
          token: fresh,
          expiresInMs: PURGE_TOKEN_MS,
        }
      }
      const purged = await purge(partition, { address, token, by })
      if (purged === undefined)
        throw new ProblemError(
          'queue.purge_token',
          'The token is not of this queue, was used, or is older than five minutes. Ask again without a token.',
        )
      if (purged > 0) deps.metrics.finished.inc({ ...splitAddress(address), outcome: 'cancelled' }, purged)
      return { purged }
    },
  )

  server.get(
    '/queues/:namespace/:name/balance',
    {
      schema: {
        summary: 'Whether every accepted job is accounted for',
        params,
        response: {
          200: z.object({
            accepted: count,
            succeeded: count,
            dead: count,
            cancelled: count,
            expired: count,
            waiting: count,
            scheduled: count,
            running: count,
            imbalance: z.int(),
          }),
          404: problemSchema,
        },
      },
    },
    async (request) => {
      const { address } = await find(deps, request.params)
      const [counts] = (await readCounts(deps.partitions.of(address), [address])) as [Counts]
      const { accepted, succeeded, dead, cancelled, expired, waiting, scheduled, running } = counts
      return {
        accepted,
        succeeded,
        dead,
        cancelled,
        expired,
        waiting,
        scheduled,
        running,
        imbalance: imbalance(counts),
      }
    },
  )
}

async function find({ registry }: QueueCommandDeps, { namespace, name }: { namespace: string; name: string }) {
  const address = fullAddress(namespace, name)
  return { address, definition: await findDeclared(registry, address) }
}

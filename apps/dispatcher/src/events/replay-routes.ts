import { randomBytes } from 'node:crypto'
import {
  bySchema,
  comparePositions,
  moveRequestSchema,
  nextPageSchema,
  ProblemError,
  problemSchema,
  queueAddress,
  type Replay,
  replayRequestSchema,
  replaySchema,
  wholePageSchema,
} from '@millrace/contracts'
import { startPositions } from '@millrace/engine'
import { type AppServer, type Clock, type ListOrder, pageOf } from '@millrace/runtime'
import {
  fullAddress,
  logEnds,
  moveSubscription,
  type Partition,
  type Partitions,
  type RegistryView,
} from '@millrace/streams'
import { z } from 'zod'
import type { ViewSource } from '../router/view-source.ts'
import type { History } from './history.ts'
import { checkReach } from './reach.ts'
import { nextPage } from './replay-range.ts'
import { beginReplay, listReplays, type StoredReplay, stopReplay, toReplay } from './replay-store.ts'
import { findSubscription } from './subscription-store.ts'

export interface ReplayDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly sources: readonly Partition[]
  readonly history: History
  readonly views: ViewSource
  readonly clock: Clock
}

const params = z.object({ id: z.string().max(150) })
const countSchema = z
  .object({ matching: z.int(), looked: z.int(), erased: z.int() })
  .describe('a dry run: nothing is delivered')

/** `POST /subscriptions/{id}/move|replay`, `GET /subscriptions/{id}/replays`, `POST /replays/{id}/stop`. */
export function addReplayRoutes(server: AppServer, deps: ReplayDeps): void {
  server.post(
    '/subscriptions/:id/move',
    {
      schema: {
        summary: 'Take a subscription to another place, back or ahead',
        params,
        body: moveRequestSchema,
        response: { 200: z.object({ id: z.string(), to: z.string() }), 404: problemSchema, 422: problemSchema },
      },
    },
    async (request) => {
      const { id } = request.params
      const { to, who, why } = request.body
      const { address, partition } = await find(deps, id)
      const positions = startPositions(to, await logEnds(deps.sources), '/to')
      await checkReach(deps, positions)
      // Until the partition has been told of it, a subscription that was made just now cannot be moved.
      await deps.views.current()
      if ((await moveSubscription(partition, { address, positions, event: { who, why, to } })) === 'unknown')
        throw new ProblemError('subscription.unknown', `The subscription "${id}" ended just now.`)
      return { id, to }
    },
  )

  server.post(
    '/subscriptions/:id/replay',
    {
      schema: {
        summary: 'Deliver a range of past events again, at a rate; or only count them',
        params,
        body: replayRequestSchema,
        response: { 200: countSchema, 202: replaySchema, 404: problemSchema, 422: problemSchema },
      },
    },
    async (request, reply) => {
      const { from, to, ratePerSecond, dryRun, who, why } = request.body
      const { id } = request.params
      const { address, partition } = await find(deps, id)
      const logs = await logEnds(deps.sources)
      const range = { positions: startPositions(from, logs, '/from'), ends: startPositions(to, logs, '/to') }
      checkOrder(range)
      await checkReach(deps, range.positions)
      if (dryRun) return reply.status(200).send(await countMatching(deps, address, range))
      const replay: StoredReplay = {
        id: `replay_${randomBytes(8).toString('hex')}`,
        subscription: id,
        address,
        state: 'running',
        from,
        to,
        ratePerSecond,
        replayed: 0,
        looked: 0,
        erased: 0,
        startedAt: new Date(deps.clock.now()).toISOString(),
        nextAtMs: 0,
        ...range,
      }
      await beginReplay(partition, replay, { who, ...(why !== undefined && { why }) })
      return reply.status(202).send(toReplay(replay))
    },
  )

  server.get(
    '/subscriptions/:id/replays',
    {
      schema: {
        summary: 'Replays of a subscription, the last first',
        params,
        querystring: wholePageSchema,
        response: {
          200: z.object({ replays: z.array(replaySchema), ...nextPageSchema }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { address, partition } = await find(deps, request.params.id)
      const { items, ...next } = pageOf(await listReplays(partition, address), newestFirst(address), request.query)
      return { replays: items, ...next }
    },
  )

  server.post(
    '/replays/:id/stop',
    {
      schema: {
        summary: 'Stop a replay; what it has put into the queue is delivered',
        params,
        body: z.strictObject(bySchema),
        response: { 200: replaySchema, 404: problemSchema },
      },
    },
    async (request) => {
      const { who, why } = request.body
      const by = { who, ...(why !== undefined && { why }) }
      return toReplay(await stopReplay(deps.partitions, { id: request.params.id, by }))
    },
  )
}

/** The name of the list has the subscription in it: by its time a replay of another one would be taken for a place in this. */
function newestFirst(address: string): ListOrder<Replay> {
  return { list: `replays ${address}`, keyOf: ({ startedAt, id }) => [startedAt, id], descending: true }
}

async function find({ registry, partitions }: ReplayDeps, id: string) {
  const { service, definition } = await findSubscription(registry, id)
  const address = fullAddress(service.namespace, queueAddress(definition.kind, definition.name))
  return { address, partition: partitions.of(address) }
}

async function countMatching(
  deps: ReplayDeps,
  address: string,
  range: Pick<StoredReplay, 'positions' | 'ends'>,
): Promise<z.infer<typeof countSchema>> {
  const view = await deps.views.current()
  const subscription = view.byAddress.get(address)
  let { positions } = range
  const count = { matching: 0, looked: 0, erased: 0 }
  while (subscription) {
    const limit = Number.MAX_SAFE_INTEGER
    const page = await nextPage(deps, { ...range, positions }, { subscription, view, replay: '', limit })
    if (!page) break
    count.matching += page.events.length
    count.looked += page.looked
    count.erased += page.erased
    positions = { ...positions, [String(page.source.number)]: page.to }
  }
  return count
}

function checkOrder({ positions, ends }: Pick<StoredReplay, 'positions' | 'ends'>): void {
  const isEmpty = Object.entries(positions).every(([source, from]) => comparePositions(from, ends[source] ?? '0-0') > 0)
  if (!isEmpty) return
  const detail = 'must be before to'
  throw new ProblemError('request.invalid', `from ${detail}.`, { errors: [{ pointer: '/from', detail }] })
}

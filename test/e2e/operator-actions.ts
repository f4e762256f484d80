import type { Place } from './platform.ts'

export type App = 'dispatcher' | 'scheduler' | 'audit'

/** What an operator can change: the route as the app's OpenAPI document names it, and the record that it leaves. */
export interface Action {
  readonly app: App
  readonly route: string
  /** The type of the record. */
  readonly leaves: string
  /** It needs a reason. */
  readonly destructive?: true
  /** Makes what it acts on; gives what stands in the path and in the body. */
  readonly ask: (world: World) => Promise<{ path: string; body?: Record<string, unknown> }>
}

/** Makes what actions act on. */
export interface World {
  readonly place: Place
  post(path: string, body: Record<string, unknown>, app?: App): Promise<Record<string, unknown>>
  apply(spec: Record<string, unknown>): Promise<unknown>
  /** A job that waits for an hour. */
  delayed(): Promise<string>
  /** A dead letter. */
  dead(): Promise<string>
}

/** They change something and are no operator's: what they do is in the trail as what it is, a job, an event, a record. */
export const OTHERS: Readonly<Record<string, string>> = {
  'dispatcher POST /jobs': 'a producer',
  'dispatcher POST /jobs/batch': 'a producer',
  'dispatcher POST /events': 'a producer',
  'dispatcher POST /jobs/{id}/heartbeat': 'a worker, with the token of its delivery',
  'dispatcher POST /jobs/{id}/complete': 'a worker, with the token of its delivery',
  'dispatcher POST /jobs/{id}/fail': 'a worker, with the token of its delivery',
  'dispatcher POST /jobs/{id}/progress': 'a worker',
  'dispatcher POST /subscriptions/try': 'changes nothing',
  'dispatcher POST /secrets/reseal': 'changes nothing while the master key is the same; then it leaves secret.resealed',
  'scheduler POST /schedules/preview': 'changes nothing',
  'audit POST /v1/events/emit': 'a service; it names who itself',
}

const QUEUE = '/queues/shop/mail'
const SCHEDULE = '/schedules/shop/hourly'
const BY = { who: 'ada', why: 'to have something' }
const letters = (id: string) => ({ filter: { namespace: 'shop', queue: 'mail', ids: [id] } })
const hook = (world: World) => ({
  types: ['a.*'],
  sink: `${world.place.urls.example}/hook`,
  config: { namespace: 'shop', name: 'hook' },
})
const RANGE = { from: '2026-03-01T00:00:00Z', to: '2026-03-01T05:00:00Z', ratePerSecond: 0.01 }

async function slowRedrive({ dead, post }: World): Promise<string> {
  await dead()
  await dead()
  const filter = { namespace: 'shop', queue: 'mail' }
  return (await post('/dead-letters/redrive', { filter, ratePerSecond: 0.01, ...BY })).id as string
}

async function madeKey(post: World['post']): Promise<string> {
  return (await post('/keys', { name: 'made', grants: ['operator:shop'], ...BY })).id as string
}

/** In an order in which each finds what it needs. */
export const ACTIONS: readonly Action[] = [
  {
    ...{ app: 'dispatcher', route: 'PUT /services/{namespace}', leaves: 'service.applied' },
    ask: async () => ({
      path: '/services/other',
      body: { manifest: { metadata: { name: 'other' } }, url: 'http://127.0.0.1:1' },
    }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /queues/{namespace}/{name}/pause', leaves: 'queue.paused' },
    ask: async () => ({ path: `${QUEUE}/pause` }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /queues/{namespace}/{name}/resume', leaves: 'queue.resumed' },
    ask: async () => ({ path: `${QUEUE}/resume` }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /queues/{namespace}/{name}/drain', leaves: 'queue.drain_started' },
    destructive: true,
    ask: async () => ({ path: '/queues/shop/other/drain' }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /queues/{namespace}/{name}/purge', leaves: 'queue.purged' },
    destructive: true,
    ask: async ({ post }) => {
      const { token } = await post(`${QUEUE}/purge`, BY)
      return { path: `${QUEUE}/purge`, body: { token } }
    },
  },
  {
    ...{ app: 'dispatcher', route: 'POST /jobs/{id}/cancel', leaves: 'job.cancelled' },
    destructive: true,
    ask: async ({ delayed }) => ({ path: `/jobs/${await delayed()}/cancel` }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /jobs/{id}/reschedule', leaves: 'job.rescheduled' },
    ask: async ({ delayed }) => ({ path: `/jobs/${await delayed()}/reschedule`, body: { delayMs: 7_200_000 } }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /jobs/{id}/retry', leaves: 'job.redriven' },
    ask: async ({ dead }) => ({ path: `/jobs/${await dead()}/retry` }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /dead-letters/redrive', leaves: 'job.redriven' },
    ask: async ({ dead }) => ({ path: '/dead-letters/redrive', body: letters(await dead()) }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /dead-letters/discard', leaves: 'job.discarded' },
    destructive: true,
    ask: async ({ dead }) => ({ path: '/dead-letters/discard', body: letters(await dead()) }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /redrives/{id}/stop', leaves: 'redrive.stopped' },
    ask: async (world) => ({ path: `/redrives/${await slowRedrive(world)}/stop` }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /subscriptions', leaves: 'service.applied' },
    ask: async (world) => ({ path: '/subscriptions', body: hook(world) }),
  },
  {
    ...{ app: 'dispatcher', route: 'PUT /subscriptions/{id}', leaves: 'service.applied' },
    ask: async (world) => ({ path: '/subscriptions/shop.hook', body: { ...hook(world), types: ['b.*'] } }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /subscriptions/{id}/move', leaves: 'subscription.moved' },
    destructive: true,
    ask: async () => ({ path: '/subscriptions/shop.hook/move', body: { to: 'now' } }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /subscriptions/{id}/replay', leaves: 'replay.started' },
    ask: async () => ({ path: '/subscriptions/shop.hook/replay', body: { from: 'earliest' } }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /replays/{id}/stop', leaves: 'replay.stopped' },
    ask: async ({ post }) => {
      // Enough for it to run for a while at that rate.
      for (let n = 0; n < 5; n++) await post('/events', { type: 'b.happened', data: n })
      const replay = { from: 'earliest', ratePerSecond: 0.1, ...BY }
      return { path: `/replays/${(await post('/subscriptions/shop.hook/replay', replay)).id}/stop` }
    },
  },
  {
    ...{ app: 'dispatcher', route: 'DELETE /subscriptions/{id}', leaves: 'service.applied' },
    destructive: true,
    ask: async () => ({ path: '/subscriptions/shop.hook' }),
  },
  {
    ...{ app: 'scheduler', route: 'POST /schedules/{namespace}/{name}/trigger', leaves: 'schedule.triggered' },
    ask: async () => ({ path: `${SCHEDULE}/trigger` }),
  },
  {
    ...{ app: 'scheduler', route: 'POST /schedules/{namespace}/{name}/pause', leaves: 'schedule.paused' },
    ask: async () => ({ path: `${SCHEDULE}/pause` }),
  },
  {
    ...{ app: 'scheduler', route: 'POST /schedules/{namespace}/{name}/resume', leaves: 'schedule.resumed' },
    ask: async () => ({ path: `${SCHEDULE}/resume` }),
  },
  {
    ...{ app: 'scheduler', route: 'POST /schedules/{namespace}/{name}/backfills', leaves: 'backfill.started' },
    ask: async () => ({ path: `${SCHEDULE}/backfills`, body: RANGE }),
  },
  {
    ...{
      app: 'scheduler',
      route: 'POST /schedules/{namespace}/{name}/backfills/{id}/stop',
      leaves: 'backfill.stopped',
    },
    ask: async ({ post }) => {
      // Another range: two backfills of the same times do not run side by side.
      const range = { ...RANGE, from: '2026-03-02T00:00:00Z', to: '2026-03-02T05:00:00Z' }
      await post(`${SCHEDULE}/backfills`, { ...range, backfillId: 'slow', ...BY }, 'scheduler')
      return { path: `${SCHEDULE}/backfills/slow/stop` }
    },
  },
  {
    ...{ app: 'audit', route: 'POST /v1/subjects/{id}/erase', leaves: 'payload.erased' },
    destructive: true,
    ask: async () => ({ path: '/v1/subjects/customer-7/erase' }),
  },
  {
    ...{ app: 'audit', route: 'POST /v1/holds', leaves: 'hold.placed' },
    destructive: true,
    ask: async () => ({ path: '/v1/holds', body: { namespace: 'other' } }),
  },
  {
    ...{ app: 'audit', route: 'POST /v1/holds/{id}/release', leaves: 'hold.released' },
    destructive: true,
    ask: async ({ post }) => ({
      path: `/v1/holds/${(await post('/v1/holds', { namespace: 'other', ...BY }, 'audit')).id}/release`,
    }),
  },
  {
    ...{ app: 'audit', route: 'POST /v1/rebuild', leaves: 'read_models.rebuild_started' },
    ask: async () => ({ path: '/v1/rebuild' }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /keys', leaves: 'key.created' },
    ask: async () => ({ path: '/keys', body: { name: 'made', grants: ['operator:shop'] } }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /keys/{id}/rotate', leaves: 'key.rotated' },
    ask: async ({ post }) => ({ path: `/keys/${await madeKey(post)}/rotate` }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /keys/{id}/revoke', leaves: 'key.revoked' },
    destructive: true,
    ask: async ({ post }) => ({ path: `/keys/${await madeKey(post)}/revoke` }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /services/{namespace}/secrets/rotate', leaves: 'secret.created' },
    ask: async () => ({ path: '/services/shop/secrets/rotate' }),
  },
  {
    ...{ app: 'dispatcher', route: 'POST /services/{namespace}/secrets/{id}/revoke', leaves: 'secret.revoked' },
    destructive: true,
    ask: async ({ post }) => {
      const { id } = await post('/services/shop/secrets/rotate', { kind: 'ed25519', ...BY })
      return { path: `/services/shop/secrets/${id}/revoke` }
    },
  },
]

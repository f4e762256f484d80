import type { LedgerEntry, Problem, QueueCounts } from '@millrace/contracts'
import { consume, type PullConsumer, subscribe } from '@millrace/sdk'
import { type ChildHandle, eventually, type Receiver, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlace, getJson, type Place, runCommand, startUp } from './platform.ts'
import { type StoreServer, startStore } from './redis.ts'

const APPS = ['dispatcher', 'scheduler', 'audit'] as const
const QUEUES = ['pushed', 'pulled', 'subscription:heard'] as const
type Queue = (typeof QUEUES)[number]
/** What each producer is told of before the next thing happens. */
const A_FEW = 10

let store: StoreServer
let place: Place
let platform: ChildHandle
let service: Receiver
const takers: PullConsumer[] = []
/** What producers were told is accepted, and what was handled, by queue. */
const told: Record<Queue, number[]> = { pushed: [], pulled: [], 'subscription:heard': [] }
const handled: Record<Queue, Set<unknown>> = { pushed: new Set(), pulled: new Set(), 'subscription:heard': new Set() }
const refusals: string[] = []

beforeAll(async () => {
  ;[store, service] = await Promise.all([startStore({ appendonly: true }), startReceiver()])
  place = await findPlace({ store })
  // What the primary alone has dies with it.
  place.env.MILLRACE_WAIT_REPLICAS = String(store.replicas)
  platform = await startUp(place)
  const spec = {
    queues: [
      { name: 'pushed', endpoint: '/internal/pushed', retryDelayMs: 50 },
      { name: 'pulled', delivery: 'pull', retryDelayMs: 50 },
    ],
    schedules: [
      { name: 'ticking', cron: '@every 1s', endpoint: '/internal/tick', catchUp: { window: '1h', take: 'all' } },
    ],
  }
  const manifest = { metadata: { name: 'shop' }, spec }
  const applied = await send('PUT', '/services/shop', { manifest, url: service.url, who: 'test' })
  expect(applied.status, await applied.text()).toBe(200)
  const options = { redis: store.url, namespace: 'shop', leaseMs: 1000, closeTimeoutMs: 0, onError: () => undefined }
  const keep = (queue: Queue) => (data: unknown) => void handled[queue].add(data)
  takers.push(
    consume('pulled', (job) => keep('pulled')(job.data), options),
    subscribe(
      'heard',
      { types: ['work.*'], retryDelayMs: 50 },
      ({ data }) => keep('subscription:heard')(data),
      options,
    ),
  )
  await Promise.all(takers.map((taker) => taker.ready))
}, 120_000)
afterAll(async () => {
  await Promise.all(takers.map((taker) => taker.close()))
  await platform?.stop()
  await place?.remove()
  await Promise.all([service?.stop(), store?.stop()])
})

function send(method: string, path: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${place.urls.dispatcher}${path}`, { method, headers, body: JSON.stringify(body) })
}

/** A job or event of this number, as it stands in a request. */
const REQUESTS: Record<Queue, (n: number) => [path: string, body: object]> = {
  pushed: (data) => ['/jobs', { namespace: 'shop', queue: 'pushed', data, idempotencyKey: `a${data}` }],
  pulled: (data) => ['/jobs', { namespace: 'shop', queue: 'pulled', data, idempotencyKey: `b${data}` }],
  'subscription:heard': (data) => ['/events?namespace=shop', { type: 'work.sent', id: `c${data}`, data }],
}

/** Sends one after another, each until it is accepted, as a producer does; resolves when told to end. */
async function produce(queue: Queue, isOver: () => boolean): Promise<void> {
  for (let n = told[queue].length; !isOver(); n++) {
    await eventually(
      async () => {
        const answer = await send('POST', ...REQUESTS[queue](n))
        // 200 where the first answer was lost: it was accepted then.
        if (answer.ok) return true
        const { code } = (await answer.json()) as Problem
        refusals.push(`${answer.status} ${code} ${answer.headers.get('retry-after')}`)
        return false
      },
      { what: `${queue} ${n} to be accepted` },
    )
    told[queue].push(n)
  }
}

async function untilToldMore(): Promise<void> {
  const before = QUEUES.map((queue) => told[queue].length)
  await eventually(() => QUEUES.every((queue, index) => told[queue].length >= (before[index] as number) + A_FEW))
}

async function untilAtRest(): Promise<void> {
  await eventually(async () => {
    const { queues } = await getJson<{ queues: QueueCounts[] }>(`${place.urls.dispatcher}/queues?namespace=shop`)
    for (const queue of QUEUES) {
      const count = told[queue].length
      expect(queues.find((each) => each.queue === queue)).toMatchObject({ accepted: count, succeeded: count })
    }
    return true
  })
}

describe('a platform whose primary of Redis dies', { timeout: 240_000 }, () => {
  it('goes on by itself, and has all that it accepted', async () => {
    let isOver = false
    const producing = Promise.all(QUEUES.map((queue) => produce(queue, () => isOver)))
    try {
      await untilToldMore()
      const restart = await store.killPrimaryOf(`${store.tagOf('shop/pushed')}:log`)
      await eventually(() => refusals.length > 0)
      await restart()
      await untilToldMore()
    } finally {
      isOver = true
    }
    await producing
    expect(new Set(refusals)).toEqual(new Set(['503 store.unavailable 1']))
    await untilAtRest()
    for (const { body } of service.requests('/internal/pushed')) handled.pushed.add(JSON.parse(body).data)
    for (const queue of QUEUES) expect(handled[queue], queue).toEqual(new Set(told[queue]))
    for (const app of APPS)
      await eventually(async () => (await fetch(`${place.urls[app]}/readyz`)).ok, { what: `${app} to be ready` })
  })

  it('has each time of its schedules in the ledger once, and a trail that verifies', async () => {
    const ticks = service.requests('/internal/tick').length
    await service.waitFor('/internal/tick', ticks + 2)
    const { entries } = await getJson<{ entries: LedgerEntry[] }>(
      `${place.urls.scheduler}/schedules/shop/ticking/ledger`,
    )
    const times = entries.map(({ at }) => Date.parse(at)).toSorted((a, b) => a - b)
    const first = times[0] as number
    expect(times).toEqual(times.map((_, n) => first + n * 1000))
    expect(entries.filter(({ state }) => state !== 'fired' && state !== 'late')).toEqual([])
    const verdict = await runCommand(place, 'audit', 'verify')
    expect(verdict.output).toMatch(/^intact/)
  })
})

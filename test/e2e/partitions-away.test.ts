import type { Problem } from '@millrace/contracts'
import { createPartitions } from '@millrace/streams'
import {
  type ChildHandle,
  eventually,
  type Receiver,
  type RedisCluster,
  type RedisServer,
  startReceiver,
  startRedisCluster,
} from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlace, type Place, startUp } from './platform.ts'

const PARTITIONS = 16
const APPS = ['dispatcher', 'scheduler', 'audit'] as const
const { of: partitionOf } = createPartitions(() => {
  throw new Error('Only the number of a partition is asked for here.')
}, PARTITIONS)

let cluster: RedisCluster
let place: Place
let platform: ChildHandle
let service: Receiver
/** A primary with a replica, both of which die, and the partitions that lie there; the registry is elsewhere. */
let dying: RedisServer[]
let away: string[]

beforeAll(async () => {
  cluster = await startRedisCluster({
    ...{ appendonly: true, nodeTimeoutMs: 1000 },
    // As it should be: with Redis's own setting the nodes that are left would take nothing either.
    settings: { 'cluster-require-full-coverage': 'no' },
  })
  ;[place, service] = await Promise.all([findPlace(), startReceiver()])
  Object.assign(place.env, { REDIS_URL: cluster.url, MILLRACE_PARTITIONS: String(PARTITIONS) })
  platform = await startUp(place)
  const owners = await Promise.all(
    Array.from({ length: PARTITIONS }, (_, number) => cluster.primaryOf(`{p${number}}:log`)),
  )
  const registry = await cluster.primaryOf('{reg}:log')
  const primary = owners.find((owner) => owner !== registry) as RedisServer
  const port = Number(/^slave0:ip=[^,]*,port=(\d+)/m.exec(await primary.client().info('replication'))?.[1])
  dying = [primary, cluster.nodes.find((node) => node.port === port) as RedisServer]
  away = owners.flatMap((owner, number) => (owner === primary ? [`p${number}`] : []))
  const ticking = Array.from({ length: 64 }, (_, n) => `tidy-${n}`).find((name) => !liesAway(`shop/schedule:${name}`))
  await apply('shop', {
    queues: QUEUES.map((name) => ({ name, endpoint: `/internal/${name}`, retries: 0 })),
    schedules: [{ name: ticking, cron: '@every 1s', endpoint: '/internal/tidy' }],
  })
  await eventually(async () => (await readiness('scheduler')).status === 200)
})
afterAll(async () => {
  await platform?.stop()
  await place?.remove()
  await service?.stop()
  await cluster?.stop()
})

/** So many that some lie in each partition. */
const QUEUES = Array.from({ length: 64 }, (_, n) => `mail-${n}`)
const liesAway = (address: string) => away.includes(`p${partitionOf(address).number}`)
const queueWhere = (isAway: boolean) => QUEUES.find((name) => liesAway(`shop/${name}`) === isAway) as string

async function apply(name: string, spec: object): Promise<void> {
  const manifest = { metadata: { name }, spec }
  const answer = await send('PUT', `/services/${name}`, { manifest, url: service.url, who: 'test' })
  expect(answer.status, await answer.text()).toBe(200)
}

function send(method: string, path: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${place.urls.dispatcher}${path}`, { method, headers, body: JSON.stringify(body) })
}

interface Ready {
  readonly degraded?: Record<string, string>
  readonly problems?: Record<string, string>
}

async function readiness(app: (typeof APPS)[number]): Promise<{ status: number; body: Ready }> {
  const answer = await fetch(`${place.urls[app]}/readyz`)
  return { status: answer.status, body: (await answer.json()) as Ready }
}

async function degradedMetric(app: (typeof APPS)[number]): Promise<string[]> {
  const text = await (await fetch(`${place.urls[app]}/metrics`)).text()
  return [...text.matchAll(/^millrace_partition_degraded\{.*partition="(\w+)".*\} 1$/gm)].map(([, name]) => `${name}`)
}

describe('/readyz while a primary and its replica are away', { timeout: 240_000 }, () => {
  it('stays 200 in every app, and names the partitions that are away', async () => {
    for (const app of APPS) await eventually(async () => (await degradedMetric(app)).length === 0)
    await Promise.all(dying.map((node) => node.kill()))
    for (const app of APPS) {
      await eventually(async () => {
        const { status, body } = await readiness(app)
        // Never, on the way there: a load balancer would take all of them out at once.
        if (status !== 200) throw new Error(`${app} is not ready: ${JSON.stringify(body)}`)
        return (
          Object.keys(body.degraded ?? {})
            .toSorted()
            .join() === away.toSorted().join()
        )
      })
      const { body } = await readiness(app)
      expect(Object.values(body.degraded ?? {}).join()).toMatch(/connection is (connecting|reconnecting|close|connect)/)
      await eventually(async () => (await degradedMetric(app)).toSorted().join() === away.toSorted().join())
    }
  })

  it('goes on with the queues of all other partitions, and with their schedules', async () => {
    const queue = queueWhere(false)
    const job = { namespace: 'shop', data: 1 }
    expect((await send('POST', '/jobs', { ...job, queue })).status).toBe(202)
    await service.waitFor(`/internal/${queue}`, 1)
    const lost = queueWhere(true)
    const refused = await send('POST', '/jobs', { ...job, queue: lost })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(((await refused.json()) as Problem).code).toBe('store.unavailable')

    const ticks = service.requests('/internal/tidy').length
    await service.waitFor('/internal/tidy', ticks + 2)
  })

  it('is 503 when no partition can be reached, and well by itself when all are back', async () => {
    await Promise.all(cluster.nodes.map((node) => node.kill()))
    for (const app of APPS) {
      const { body } = await eventually(async () => {
        const answer = await readiness(app)
        return answer.status === 503 && answer
      })
      expect(body.problems).toMatchObject({ redis: expect.stringMatching(/connection is|closed/) })
    }
    await Promise.all(cluster.nodes.map((node) => node.restart()))
    for (const app of APPS)
      await eventually(async () => {
        const { status, body } = await readiness(app)
        return status === 200 && body.degraded === undefined
      })
    const lost = queueWhere(true)
    await eventually(async () => (await send('POST', '/jobs', { namespace: 'shop', queue: lost, data: 1 })).ok)
    await service.waitFor(`/internal/${lost}`, 1)
  })
})

import { createPartitions } from '@millrace/streams'
import { eventually, type FaultProxy, type RedisServer, startFaultProxy, startRedis } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { subscribeTo } from './event-fixture.ts'
import { applyTo, type Client, dispatcherOn, expectBalance, metricOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
let proxy: FaultProxy
beforeEach(async () => {
  rig = await startRig({
    redis: { appendonly: true, appendfsync: 'always' },
    env: { MILLRACE_LEASE_MS: '800' },
  })
  proxy = await startFaultProxy({ targetPort: rig.redis.port })
})
afterEach(async () => {
  await proxy.stop()
  await rig.stop()
})

/** Producers that send each job with its key until somebody has accepted it. */
function produce(client: Client, namespace: string, producers = 4) {
  const accepted = new Set<string>()
  let next = 0
  let going = true
  const run = async () => {
    while (going) {
      const data = next++
      const body = { namespace, queue: 'mail', data, idempotencyKey: `k${data}` }
      await eventually(
        async () => {
          const reply = await client.call<{ id: string }>('POST', '/jobs', { body })
          expect([200, 202, 503]).toContain(reply.status)
          if (reply.status !== 503) accepted.add(reply.body.id)
          return reply.status !== 503
        },
        { timeoutMs: 20_000 },
      )
    }
  }
  const running = Promise.all(Array.from({ length: producers }, run))
  return {
    accepted,
    async until(count: number) {
      await eventually(() => accepted.size >= count, { timeoutMs: 20_000, what: `${count} accepted jobs` })
    },
    async stop() {
      going = false
      await running
    },
  }
}

async function expectAllDelivered(client: Client, namespace: string, accepted: ReadonlySet<string>): Promise<void> {
  const done = { accepted: accepted.size, succeeded: accepted.size, dead: 0, running: 0, waiting: 0, scheduled: 0 }
  await client.until(namespace, 'mail', done, 20_000)
  const delivered = new Set(
    rig.receiver.requests(pathOf(namespace, 'mail')).map((request) => request.headers['webhook-id']),
  )
  expect([...accepted].filter((id) => !delivered.has(id))).toEqual([])
  await expectBalance(client)
}

describe('redis-server killed and restarted under load', () => {
  it('loses nothing, and delivery goes on by itself', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 10 }])
    rig.receiver.script(pathOf(namespace, 'mail'), { delayMs: 2 })
    const load = produce(rig.client, namespace)
    for (const kill of [1, 2]) {
      await load.until(kill * 100)
      await rig.redis.kill('SIGKILL')
      await eventually(async () => (await rig.client.call('GET', '/readyz')).status === 503)
      await rig.redis.restart()
    }
    await load.until(300)
    await load.stop()
    await expectAllDelivered(rig.client, namespace, load.accepted)
    expect((await rig.client.call('GET', '/readyz')).status).toBe(200)
    for (const connection of ['commands', 'wakeups'])
      expect(await metricOf(rig.client, 'millrace_redis_reconnects_total', { connection })).toBeGreaterThanOrEqual(2)
  })
})

describe('a network that fails between dispatcher and Redis', () => {
  const throughProxy = async (use: (client: Client, redis: RedisServer) => Promise<void>) => {
    const { dispatcher, client } = await dispatcherOn(proxy.url, { env: { MILLRACE_LEASE_MS: '800' } })
    await use(client, rig.redis)
    await dispatcher.stop()
  }

  it('by cutting connections again and again loses nothing and leaves nothing running', () =>
    throughProxy(async (client) => {
      const namespace = 'cutting'
      await applyTo(client, namespace, [{ name: 'mail', concurrency: 10, retryDelayMs: 10 }], rig.receiver.url)
      // Some attempts fail, so that claims, settles, retries and moves are all under way when a connection breaks.
      rig.receiver.script(pathOf(namespace, 'mail'), ({ headers, body }) =>
        headers['x-attempt'] === '1' && body.endsWith('7}') ? { status: 500 } : { delayMs: 2 },
      )
      const load = produce(client, namespace)
      for (let cuts = 1; cuts <= 6; cuts++) {
        await load.until(cuts * 40 + cuts)
        await proxy.cut()
        await proxy.heal()
      }
      await load.until(300)
      await load.stop()
      await expectAllDelivered(client, namespace, load.accepted)
    }))

  it('by standing still longer than a lease loses nothing and leaves nothing running', () =>
    throughProxy(async (client, redis) => {
      const namespace = 'stalling'
      await applyTo(client, namespace, [{ name: 'mail', concurrency: 10 }], rig.receiver.url)
      rig.receiver.script(pathOf(namespace, 'mail'), { delayMs: 2 })
      const direct = redis.client()
      const load = produce(client, namespace)
      for (let stalls = 1; stalls <= 3; stalls++) {
        await load.until(stalls * 40)
        proxy.stall()
        // The other dispatcher of the rig takes over what the one behind the proxy holds, once its lease has lapsed.
        await eventually(async () => (await direct.zcount('{p0}:consumers', 0, '+inf')) === 1)
        proxy.resume()
        await eventually(async () => (await client.call('GET', '/readyz')).status === 200)
      }
      await load.until(160)
      await load.stop()
      await expectAllDelivered(client, namespace, load.accepted)
    }))

  it('does not keep the only dispatcher from settling what was finished meanwhile, past its lease', async () => {
    const own = await startRedis()
    const between = await startFaultProxy({ targetPort: own.port })
    const { dispatcher, client } = await dispatcherOn(between.url, { env: { MILLRACE_LEASE_MS: '1500' } })
    await applyTo(client, 'alone', [{ name: 'mail', retries: 0 }], rig.receiver.url)
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(pathOf('alone', 'mail'), {}, () => gate.promise.then(() => ({})), {})
    // The first job makes Redis know every script, so that the settle below is one message.
    await client.enqueue('alone', 'mail')
    await client.until('alone', 'mail', { succeeded: 1 })
    await client.enqueue('alone', 'mail')
    await rig.receiver.waitFor(pathOf('alone', 'mail'), 2)
    between.stall()
    // The answer comes at once, so the settle is on its way before any renewal, and reaches Redis after the lease ended.
    gate.resolve()
    const direct = own.client()
    await eventually(async () => {
      const [seconds] = await direct.time()
      return (await direct.zcount('{p0}:consumers', Number(seconds) * 1000, '+inf')) === 0
    })
    between.resume()
    await client.until('alone', 'mail', { succeeded: 2, running: 0 })
    await client.enqueue('alone', 'mail')
    await client.until('alone', 'mail', { succeeded: 3, running: 0 })
    await expectBalance(client)
    await dispatcher.stop()
    await between.stop()
    await own.stop()
  })
})

describe('while Redis is away', () => {
  it('intake answers 503 with Retry-After, /readyz says why, and both work again by themselves', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    await rig.redis.kill()
    await eventually(async () => (await rig.client.call('GET', '/readyz')).status === 503)
    const ready = await rig.client.call<{ problems: Record<string, string> }>('GET', '/readyz')
    expect(ready.body.problems.redis).toMatch(/connection is/)
    expect((await rig.client.call('GET', '/livez')).status).toBe(200)

    const refused = await rig.client.call('POST', '/jobs', { body: { namespace, queue: 'mail', data: 1 } })
    expect(refused).toMatchObject({ status: 503, body: { code: 'store.unavailable', status: 503 } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    const batch = await rig.client.call('POST', '/jobs/batch', {
      body: { jobs: [{ namespace, queue: 'mail', data: 1 }] },
    })
    expect(batch).toMatchObject({ status: 503, body: { code: 'store.unavailable' } })
    expect((await rig.client.call('GET', '/queues')).status).toBe(503)
    expect((await fetch(`${rig.client.url}/metrics`)).status).toBe(200)

    await rig.redis.restart()
    await eventually(async () => (await rig.client.call('GET', '/readyz')).status === 200)
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { accepted: 1, succeeded: 1 })
  })
})

describe('a Redis without memory', () => {
  it('refuses new work with 503 store.full and finishes what was accepted', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 1 }])
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(pathOf(namespace, 'mail'), () => gate.promise.then(() => ({ status: 500 })), {})
    for (let n = 0; n < 3; n++) await rig.client.enqueue(namespace, 'mail')
    const redis = rig.redis.client()
    await redis.config('SET', 'maxmemory', '1mb')
    const refused = await rig.client.call('POST', '/jobs', { body: { namespace, queue: 'mail', data: 1 } })
    expect(refused).toMatchObject({ status: 503, body: { code: 'store.full' } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    gate.resolve()
    await rig.client.until(namespace, 'mail', { accepted: 3, succeeded: 3, running: 0, scheduled: 0 })
    await redis.config('SET', 'maxmemory', '0')
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 4 })
    expect(await metricOf(rig.client, 'millrace_leases_lost_total')).toBe(0)
    await expectBalance(rig.client)
  })

  it('is no reason not to start: what was accepted is finished, and heard of', async () => {
    const endpoint = '/internal/full/mail'
    const queues = [{ name: 'mail', endpoint }]
    const subscriptions = [{ name: 'done', types: ['job.succeeded'] }]
    const { client: first } = rig
    await subscribeTo(first, 'full', { subscriptions, url: rig.receiver.url, spec: { queues } })
    await first.call('POST', '/queues/full/mail/pause', { body: { who: 'test', why: 'until it is full' } })
    for (let n = 0; n < 20; n++) await first.enqueue('full', 'mail')
    const redis = rig.redis.client()
    const { behind } = createPartitions(redis, 1).of('full/mail').keys
    await eventually(async () => (await redis.exists(behind)) === 0, {
      what: 'a subscription that reads with the others',
    })
    await rig.dispatcher.stop()
    await redis.config('SET', 'maxmemory', '1mb')
    const next = await dispatcherOn(rig.redis.url)
    expect((await next.client.call('GET', '/readyz')).status).toBe(200)
    await next.client.call('POST', '/queues/full/mail/resume', { body: { who: 'test' } })
    await next.client.until('full', 'mail', { accepted: 20, succeeded: 20, waiting: 0, running: 0 })
    await next.client.until('full', 'subscription:done', { accepted: 20, succeeded: 20, waiting: 0, running: 0 })
    await expectBalance(next.client)
    await redis.config('SET', 'maxmemory', '0')
    await next.dispatcher.stop()
  })
})

import { consume, type PullConsumer } from '@millrace/sdk'
import { type ChildHandle, eventually, freePort, startProcess, withBy } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type StoreServer, startStore } from './redis.ts'

const DISPATCHER = new URL('../../apps/dispatcher/src/main.ts', import.meta.url)

let redis: StoreServer
let dispatcher: ChildHandle
let url: string
const consumers: PullConsumer[] = []
beforeAll(async () => {
  redis = await startStore()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  dispatcher = await startProcess({
    file: DISPATCHER,
    env: { ...redis.env, MILLRACE_DISPATCHER_PORT: String(port), MILLRACE_LEASE_MS: '600' },
    readyWhen: /dispatcher\.ready/,
  })
})
afterEach(async () => {
  await Promise.all(consumers.splice(0).map((consumer) => consumer.close()))
  await dispatcher.stop()
  await redis.flush()
})

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: what a test asks of an answer is its own affair
  readonly body: any
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(withBy(method, path, body)),
    }),
  })
  return { status: response.status, body: await response.json() }
}

const apply = (queue: Record<string, unknown>) =>
  call('PUT', '/services/shop', {
    manifest: { metadata: { name: 'shop' }, spec: { queues: [{ name: 'mail', retries: 0, ...queue }] } },
    url: 'http://127.0.0.1:1',
  })
const enqueue = async (data: unknown): Promise<string> =>
  (await call('POST', '/jobs', { namespace: 'shop', queue: 'mail', data })).body.id
const counts = async () => (await call('GET', '/queues?namespace=shop')).body.queues[0]
const until = (wanted: Record<string, number>) =>
  eventually(async () => {
    expect(await counts()).toMatchObject(wanted)
    return true
  })
const reasons = async (id: string) =>
  (await call('GET', `/jobs/${id}/explain`)).body.reasons.map(({ code }: { code: string }) => code)

/** `told` gets the codes of what the consumer complains of. */
async function start(handler: Parameters<typeof consume>[1], told: unknown[] = []): Promise<PullConsumer> {
  const onError = (error: unknown) => void told.push((error as { code?: string }).code)
  const options = { redis: redis.url, namespace: 'shop', leaseMs: 600, closeTimeoutMs: 0, onError }
  const consumer = consume('mail', handler, options)
  consumers.push(consumer)
  await consumer.ready
  return consumer
}

describe('a pulled queue', () => {
  it('is left alone by dispatchers, also when its consumer is gone, and says what it waits for', async () => {
    expect((await apply({ delivery: 'pull' })).status).toBe(200)
    const id = await enqueue({ n: 1 })
    expect(await reasons(id)).toEqual(['no_consumer'])
    const consumer = await start((job) => new Promise((resolve) => job.signal.addEventListener('abort', resolve)))
    await until({ running: 1 })
    expect((await call('GET', `/jobs/${id}/explain`)).body.reasons[0].detail).toMatch(/by shop\/mail@/)
    await consumer.close()
    // The dispatcher looks for what lapsed once a second; a job that is there for a push queue shows that it has.
    await call('PUT', '/services/print', {
      manifest: {
        metadata: { name: 'print' },
        spec: { queues: [{ name: 'page', endpoint: '/internal/page', retries: 0 }] },
      },
      url: 'http://127.0.0.1:1',
    })
    await call('POST', '/jobs', { namespace: 'print', queue: 'page', data: 1 })
    await eventually(async () => (await call('GET', '/queues?namespace=print')).body.queues[0].dead === 1)
    expect(await counts()).toMatchObject({ running: 1, waiting: 0 })
    const { promise: seen, resolve } = Promise.withResolvers<number[]>()
    await start((job) => resolve([job.attempt, job.epoch]))
    expect(await seen).toEqual([1, 2])
    await until({ succeeded: 1, running: 0 })
    expect(dispatcher.output()).not.toMatch(/takeover\.unknown_queue/)
  })

  it('has dead letters, cancellation, pause and redrive as a pushed one has', async () => {
    await apply({ delivery: 'pull' })
    let works = false
    await start(async (job) => {
      if (job.data === 'long') await new Promise((resolve) => job.signal.addEventListener('abort', resolve))
      else if (!works) throw new Error(`no ${String(job.data)}`)
      return { done: job.data }
    })
    const id = await enqueue('letter')
    await until({ dead: 1 })
    const letter = (await call('GET', '/dead-letters?namespace=shop')).body.deadLetters[0]
    expect(letter).toMatchObject({ id, reason: 'worker_failed' })
    expect(letter.lastResponse.error).toMatch(/^Error: no letter\n/)
    works = true
    expect((await call('POST', `/jobs/${id}/retry`, {})).status).toBe(202)
    await until({ dead: 0, succeeded: 1 })

    const long = await enqueue('long')
    await until({ running: 1 })
    expect((await call('POST', `/jobs/${long}/cancel`, { who: 'test' })).body).toMatchObject({ result: 'cancelling' })
    await until({ cancelled: 1, running: 0 })

    await call('POST', '/queues/shop/mail/pause', { who: 'test' })
    const paused = await enqueue('later')
    expect(await reasons(paused)).toEqual(['queue_paused'])
    await call('POST', '/queues/shop/mail/resume', { who: 'test' })
    await until({ succeeded: 2, waiting: 0 })
    const balance = (await call('GET', '/queues/shop/mail/balance')).body
    expect(balance).toMatchObject({ imbalance: 0 })
  })

  it('may be pushed from the next manifest on, and the other way round', async () => {
    await apply({ endpoint: '/internal/mail' })
    const first = await enqueue(1)
    await until({ dead: 1 })
    await apply({ delivery: 'pull' })
    const pulled: unknown[] = []
    const told: unknown[] = []
    await start((job) => void pulled.push(job.data), told)
    await call('POST', `/jobs/${first}/retry`, {})
    await until({ dead: 0, succeeded: 1 })
    told.length = 0
    await apply({ endpoint: '/internal/mail' })
    // Until it has heard of it, it may still take what comes.
    await eventually(() => told.includes('sdk.queue_not_pulled'))
    await enqueue(2)
    await until({ dead: 1, succeeded: 1 })
    expect(pulled).toEqual([1])
    const limits = `${redis.tagOf('shop/mail')}:limits`
    expect(await (await redis.clientOf(limits)).hgetall(limits)).toEqual({})
  })

  it.each([
    [{ delivery: 'pull', endpoint: '/internal/mail' }, '/manifest/spec/queues/0/endpoint', /take one of the two out/],
    [{}, '/manifest/spec/queues/0/endpoint', /is required: .* or delivery: pull/],
    [
      { delivery: 'pull', onStatus: { '409': 'complete' } },
      '/manifest/spec/queues/0/onStatus',
      /NoRetry or RetryAfter/,
    ],
  ])('is refused where the manifest contradicts itself: %j', async (queue, pointer, detail) => {
    const { status, body } = await apply(queue)
    expect(status).toBe(422)
    expect(body.errors).toEqual([
      { pointer: expect.stringContaining(pointer.slice(9)), detail: expect.stringMatching(detail) },
    ])
  })
})

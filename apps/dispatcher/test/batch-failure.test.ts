import {
  eventually,
  type ReceivedRequest,
  type Receiver,
  type RedisServer,
  startReceiver,
  startRedis,
} from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answering, idsOf, jobsOf } from './batch-fixture.ts'
import { type DispatcherProcess, startDispatcherProcess } from './dispatcher-process.ts'
import { applyTo, type Client, expectBalance, metricOf, pathOf, typesOf } from './fixture.ts'

let redis: RedisServer
let receiver: Receiver
let started: DispatcherProcess[]
beforeAll(async () => {
  redis = await startRedis({ appendonly: true, appendfsync: 'always' })
})
beforeEach(async () => {
  await redis.flush()
  receiver = await startReceiver()
  started = []
})
afterEach(async () => {
  for (const { process } of started) await process.killGroup()
  await receiver.stop()
})
afterAll(() => redis.stop())

const path = pathOf('shop', 'mail')
const N = [1, 2, 3, 4, 5, 6]

async function start(env: Parameters<typeof startDispatcherProcess>[1] = {}): Promise<DispatcherProcess> {
  const dispatcher = await startDispatcherProcess(redis.url, env)
  started.push(dispatcher)
  return dispatcher
}

async function apply(client: Client, batch: Record<string, number>) {
  await applyTo(client, 'shop', [{ name: 'mail', retries: 0, concurrency: 20, batch }], receiver.url)
}

const enqueueAll = (client: Client) => Promise.all(N.map((data) => client.enqueue('shop', 'mail', { data })))
const deliveries = (id: string) =>
  receiver
    .requests(path)
    .flatMap(jobsOf)
    .filter(({ jobId }) => jobId === id)
    .map(({ attempt, epoch }) => [attempt, epoch])

describe('a dispatcher that is killed', () => {
  it('with a batch under way: each of its jobs is taken over once, at no attempt, and none is lost', async () => {
    const first = await start()
    await apply(first.client, { maxSize: 6, maxWaitMs: 10_000 })
    receiver.script(path, { kind: 'hang' }, answering())
    const ids = await enqueueAll(first.client)
    await receiver.waitFor(path, 1)
    const second = await start()
    await first.process.kill()
    await second.client.until('shop', 'mail', { succeeded: 6, dead: 0, running: 0 })
    for (const id of ids) {
      expect(deliveries(id)).toEqual([
        [1, 1],
        [1, 2],
      ])
      expect(await typesOf(redis, id)).toEqual(['job.enqueued', 'job.started', 'job.taken_over', 'job.succeeded'])
    }
    expect(await metricOf(second.client, 'millrace_takeovers_total', { queue: 'mail' })).toBe(6)
    await expectBalance(second.client)
  })

  it('with jobs that wait for others: another one delivers them', async () => {
    const first = await start()
    await apply(first.client, { maxSize: 20, maxWaitMs: 60_000 })
    receiver.script(path, answering())
    const ids = await enqueueAll(first.client)
    await first.client.until('shop', 'mail', { running: 6 })
    await first.process.kill()
    const second = await start()
    await apply(second.client, { maxSize: 6, maxWaitMs: 60_000 })
    await second.client.until('shop', 'mail', { succeeded: 6, dead: 0, running: 0 })
    for (const id of ids) expect(deliveries(id)).toEqual([[1, 2]])
    await expectBalance(second.client)
  })
})

describe('a dispatcher that stands still past its lease with a batch under way', () => {
  it('settles none of it afterwards', async () => {
    const first = await start()
    await apply(first.client, { maxSize: 6, maxWaitMs: 10_000 })
    const gate = Promise.withResolvers<void>()
    receiver.script(path, (request) => gate.promise.then(() => answering()(request)), answering())
    const ids = await enqueueAll(first.client)
    await receiver.waitFor(path, 1)
    const second = await start()
    first.process.signal('SIGSTOP')
    await second.client.until('shop', 'mail', { succeeded: 6, running: 0 })
    gate.resolve()
    first.process.signal('SIGCONT')
    await eventually(async () => (await metricOf(first.client, 'millrace_leases_lost_total')) === 1)
    await first.process.stop()
    for (const id of ids) expect((await typesOf(redis, id)).filter((type) => type === 'job.succeeded')).toHaveLength(1)
    await expectBalance(second.client)
  })
})

describe('SIGTERM', () => {
  it('sends what waits for others at once, lets it finish, and exits 0', async () => {
    const first = await start()
    await apply(first.client, { maxSize: 20, maxWaitMs: 60_000 })
    receiver.script(path, answering())
    const ids = await enqueueAll(first.client)
    await first.client.until('shop', 'mail', { running: 6 })
    expect(await first.process.stop()).toEqual({ code: 0, signal: null })
    expect(receiver.requests(path).map(idsOf)).toEqual([expect.arrayContaining(ids)])
    for (const id of ids) expect((await typesOf(redis, id)).at(-1)).toBe('job.succeeded')
  })
})

describe('an answer with results that nobody asked for', () => {
  it('is told in the log, and changes nothing', async () => {
    const { client, process } = await start()
    await apply(client, { maxSize: 2, maxWaitMs: 10_000 })
    receiver.script(path, (request: ReceivedRequest) => {
      const [a, b] = idsOf(request)
      const results = [a, 'job_1a200c31d0100000000', b, b].map((jobId) => ({ jobId, status: 200 }))
      return { body: { results } }
    })
    await client.enqueue('shop', 'mail')
    await client.enqueue('shop', 'mail')
    await client.until('shop', 'mail', { accepted: 2, succeeded: 2, running: 0 })
    const line = await process.waitForLine(/batch\.results_ignored/)
    expect(JSON.parse(line)).toMatchObject({ queue: 'shop/mail', count: 2 })
  })
})

import type { Partition } from '@millrace/streams'
import { type Behaviour, eventually, type RedisServer, startRedis } from '@millrace/testkit'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DispatcherProcess, startDispatcherProcess } from './dispatcher-process.ts'
import { applyTo, type Client, dispatcherOn, expectBalance, metricOf, pathOf } from './fixture.ts'
import { LIMIT, usePrefetchRig } from './prefetch-fixture.ts'

const setup = usePrefetchRig()
const { prefetchedOf, failuresIn } = setup

/** Counts the requests that are open at once, each of them for a moment. */
function gauge(delayMs = 2) {
  let open = 0
  const seen: number[] = []
  const behaviour = (): Promise<Behaviour> => {
    const { promise, resolve } = Promise.withResolvers<Behaviour>()
    open++
    seen.push(open)
    setTimeout(() => {
      open--
      resolve({})
    }, delayMs)
    return promise
  }
  return { behaviour, seen }
}

async function fill(client: Client, namespace: string, count: number) {
  for (let from = 0; from < count; from += 500) {
    const jobs = Array.from({ length: Math.min(500, count - from) }, (_, n) => ({
      ...{ namespace, queue: 'mail', data: from + n },
    }))
    expect((await client.call('POST', '/jobs/batch', { body: { jobs } })).status).toBeLessThan(300)
  }
}
const pauseQueue = (namespace: string) => setup.rig.client.call('POST', `/queues/${namespace}/mail/pause`, { body: {} })
const resumeQueue = (namespace: string) =>
  setup.rig.client.call('POST', `/queues/${namespace}/mail/resume`, { body: {} })
const requestsOf = (namespace: string) => setup.rig.receiver.requests(pathOf(namespace, 'mail'))
const jobsOf = (namespace: string) => new Set(requestsOf(namespace).map(({ headers }) => headers['webhook-id']))
const addressOf = (namespace: string) => `${namespace}/mail`

/** Who has jobs in hand. */
async function holdersIn({ redis, keys }: Partition, namespace: string): Promise<string[]> {
  const fields = await redis.hkeys(keys.inHand(addressOf(namespace)))
  return [...new Set(fields.map((field) => field.split(' ')[2] ?? ''))]
}

/** Every job was requested once, and none of them twice. */
function expectEachOnce(namespace: string, count: number) {
  expect(jobsOf(namespace).size).toBe(count)
  expect(requestsOf(namespace)).toHaveLength(count)
}

describe('the concurrency of a queue with a backlog, over two dispatchers that prefetch', () => {
  let second: Awaited<ReturnType<typeof dispatcherOn>>
  beforeAll(async () => {
    second = await dispatcherOn(setup.rig.redis.url)
  })
  afterAll(() => second.dispatcher.stop())

  /** Has both of them deliver a backlog: who comes late finds a place only when there are more of them. */
  async function shareOut(namespace: string, backlog: number, concurrency: number) {
    await pauseQueue(namespace)
    await fill(setup.rig.client, namespace, backlog)
    await resumeQueue(namespace)
    await eventually(async () => {
      for (const places of [1, concurrency])
        await applyTo(setup.rig.client, namespace, [{ name: 'mail', concurrency: places }], setup.rig.receiver.url)
      return (await holdersIn(setup.partition, namespace)).length > 1
    })
  }

  it('is never exceeded, and each job is delivered once', async () => {
    const namespace = await setup.rig.service([{ name: 'mail', concurrency: 1 }])
    const { behaviour, seen } = gauge()
    setup.rig.receiver.script(pathOf(namespace, 'mail'), behaviour)
    await shareOut(namespace, 4000, LIMIT)
    await setup.rig.client.until(namespace, 'mail', { succeeded: 4000, running: 0, waiting: 0 })
    expect(Math.max(...seen)).toBe(LIMIT)
    expect(setup.rig.receiver.maxInFlight(pathOf(namespace, 'mail'))).toBeLessThanOrEqual(LIMIT)
    expectEachOnce(namespace, 4000)
    await eventually(async () => Object.keys(await prefetchedOf(addressOf(namespace))).length === 0)
  })

  it('binds both of them once it was lowered', async () => {
    const namespace = await setup.rig.service([{ name: 'mail', concurrency: 1 }])
    const { behaviour, seen } = gauge()
    setup.rig.receiver.script(pathOf(namespace, 'mail'), behaviour)
    await shareOut(namespace, 6000, 8)
    await eventually(() => Math.max(...seen.slice(-100)) === 8)
    await applyTo(setup.rig.client, namespace, [{ name: 'mail', concurrency: 3 }], setup.rig.receiver.url)
    await eventually(() => Math.max(...seen.slice(-200)) <= 3)
    const heard = seen.length
    await setup.rig.client.until(namespace, 'mail', { succeeded: 6000, running: 0, waiting: 0 })
    expect(Math.max(...seen.slice(0, heard))).toBe(8)
    expect(seen.length - heard, 'there was work left for it').toBeGreaterThan(500)
    expect(Math.max(...seen.slice(heard))).toBe(3)
    expectEachOnce(namespace, 6000)
  })

  it('holds nothing when the queue is paused, and all of it is delivered when it is resumed', async () => {
    const namespace = await setup.rig.service([{ name: 'mail', concurrency: LIMIT }])
    const { behaviour, seen } = gauge()
    setup.rig.receiver.script(pathOf(namespace, 'mail'), behaviour)
    await fill(setup.rig.client, namespace, 2000)
    await eventually(() => seen.length > 300)
    await pauseQueue(namespace)
    await setup.rig.client.until(namespace, 'mail', { running: 0 })
    await eventually(async () => Object.keys(await prefetchedOf(addressOf(namespace))).length === 0)
    await setup.rig.client.until(namespace, 'mail', { running: 0, scheduled: 0 })
    const before = requestsOf(namespace).length
    expect(before).toBeLessThan(2000)
    expect(await setup.rig.client.counts(namespace, 'mail')).toMatchObject({
      succeeded: before,
      waiting: 2000 - before,
    })
    await resumeQueue(namespace)
    await setup.rig.client.until(namespace, 'mail', { succeeded: 2000, running: 0, waiting: 0 })
    expectEachOnce(namespace, 2000)
  })
})

describe('a worker that goes down in the middle of a backlog', () => {
  it('costs few attempts, none of them at jobs that were only prefetched, and all is delivered when it is back', async () => {
    const namespace = await setup.rig.service([{ name: 'mail', concurrency: LIMIT, retries: 20 }])
    const { behaviour, seen } = gauge()
    setup.rig.receiver.script(pathOf(namespace, 'mail'), behaviour)
    await fill(setup.rig.client, namespace, 2000)
    await eventually(() => seen.length > 300)
    await setup.rig.receiver.close()
    await eventually(async () => (await metricOf(setup.rig.client, 'millrace_circuit_open', { namespace })) === 1)
    await setup.rig.client.until(namespace, 'mail', { running: 0 })
    await eventually(async () => Object.keys(await prefetchedOf(addressOf(namespace))).length === 0)
    const burnt = (await failuresIn(namespace)).filter(({ counted }) => counted)
    expect(burnt.length).toBeGreaterThan(0)
    expect(burnt.length).toBeLessThan(100)
    await setup.rig.receiver.reopen()
    await setup.rig.client.until(namespace, 'mail', { succeeded: 2000, dead: 0, running: 0, waiting: 0, scheduled: 0 })
    const failures = await failuresIn(namespace)
    expect(failures.filter(({ reason, counted }) => reason === 'not_begun' && counted)).toEqual([])
  })
})

describe('a dispatcher process with prefetched jobs', () => {
  let redis: RedisServer
  let client: Redis
  let started: DispatcherProcess[]
  const start = async (env: Parameters<typeof startDispatcherProcess>[1] = {}) => {
    const dispatcher = await startDispatcherProcess(redis.url, env)
    started.push(dispatcher)
    return dispatcher
  }
  beforeEach(async () => {
    started = []
    redis = await startRedis()
    client = redis.client()
  })
  afterEach(async () => {
    for (const { process } of started) await process.killGroup()
    client.disconnect()
    await redis.stop()
  })

  const prefetchedIn = (namespace: string) => client.hgetall(`{p0}:prefetched:${addressOf(namespace)}`)

  /** The first delivers a backlog, and has some of it prefetched; the second finds no place meanwhile. */
  async function backlogOf(namespace: string, env: Parameters<typeof start>[0] = {}) {
    const first = await start(env)
    await applyTo(first.client, namespace, [{ name: 'mail', concurrency: LIMIT, retries: 0 }], setup.rig.receiver.url)
    const gate = Promise.withResolvers<void>()
    const { behaviour, seen } = gauge()
    setup.rig.receiver.script(pathOf(namespace, 'mail'), () => gate.promise.then(behaviour))
    await fill(first.client, namespace, 3000)
    await eventually(() => requestsOf(namespace).length === LIMIT)
    const second = await start(env)
    gate.resolve()
    await eventually(async () => seen.length > 200 && Object.keys(await prefetchedIn(namespace)).length > 0)
    return { first, second }
  }

  it('hands them to another one when it is told to end: each job is delivered once, at its first attempt', async () => {
    // Nobody is to be taken for dead here, however long it stands still.
    const { first, second } = await backlogOf('told', { MILLRACE_LEASE_MS: '60000' })
    expect(await first.process.stop()).toEqual({ code: 0, signal: null })
    const before = requestsOf('told').length
    expect(before, 'there was work left').toBeLessThan(3000)
    await second.client.until('told', 'mail', { succeeded: 3000, dead: 0, running: 0, waiting: 0, scheduled: 0 })
    expectEachOnce('told', 3000)
    expect(requestsOf('told').every(({ headers }) => headers['x-attempt'] === '1')).toBe(true)
    await eventually(async () => Object.keys(await prefetchedIn('told')).length === 0)
    await expectBalance(second.client)
  })

  it('that is killed loses none of them: all are delivered elsewhere, at no attempt', async () => {
    const { first, second } = await backlogOf('killed')
    await first.process.kill()
    expect(requestsOf('killed').length, 'there was work left').toBeLessThan(3000)
    await second.client.until('killed', 'mail', { succeeded: 3000, dead: 0, running: 0, waiting: 0, scheduled: 0 })
    expect(jobsOf('killed').size).toBe(3000)
    expect(requestsOf('killed').every(({ headers }) => headers['x-attempt'] === '1')).toBe(true)
    await eventually(async () => Object.keys(await prefetchedIn('killed')).length === 0)
    await expectBalance(second.client)
  })
})

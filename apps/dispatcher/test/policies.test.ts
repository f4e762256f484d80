import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventsOf, expectBalance, metricOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

const dataAt = (path: string) =>
  rig.receiver.requests(path).map((request) => (request.json() as { data: unknown }).data)
const post = <Body = Record<string, unknown>>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', path, { body })

describe('the response policy table', () => {
  it('completes, buries, postpones without counting', async () => {
    const onStatus = { 409: 'complete', 422: 'dead', 429: 'postpone' }
    const namespace = await rig.service([{ name: 'mail', retries: 1, onStatus }])
    const path = pathOf(namespace, 'mail')
    rig.receiver.script(path, { status: 409 }, { status: 422 }, { status: 429 }, { status: 429 }, { status: 429 }, {})
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { dead: 1 })
    const id = await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 2 })
    const [, , ...postponed] = rig.receiver.requests(path)
    expect(postponed.map((request) => request.headers['x-attempt'])).toEqual(['1', '1', '1', '1'])
    expect(postponed.map((request) => request.headers['x-job-epoch'])).toEqual(['1', '2', '3', '4'])
    const failed = (await eventsOf(rig.redis, id)).filter((event) => event.type === 'job.attempt_failed')
    expect(failed.map((event) => JSON.parse(event.data).counted)).toEqual([false, false, false])
  })

  it('pauses the queue, and says why', async () => {
    const namespace = await rig.service([{ name: 'mail', onStatus: { 503: 'pause' } }])
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 503 }, {})
    await rig.client.enqueue(namespace, 'mail')
    await eventually(
      async () => (await rig.client.counts(namespace, 'mail')).paused?.why === 'the response policy says so for 503',
    )
    await post(`/queues/${namespace}/mail/resume`)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
  })
})

describe('a list of delays', () => {
  it('is followed, and a job may bring its own', async () => {
    const namespace = await rig.service([
      { name: 'mail', retries: 5, backoff: { type: 'list', delaysMs: [60_000], jitter: 0 } },
    ])
    const path = pathOf(namespace, 'mail')
    rig.receiver.script(path, { status: 500 }, { status: 500 }, {})
    await rig.client.enqueue(namespace, 'mail', { backoff: { type: 'list', delaysMs: [5, 10] } })
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
  })
})

describe('the result', () => {
  it('is what the endpoint answered, in the log as it came', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    rig.receiver.script(pathOf(namespace, 'mail'), {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: '{"n":9007199254740993}',
    })
    const id = await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    expect((await eventsOf(rig.redis, id)).at(-1)?.data).toContain('"result":{"n":9007199254740993}')
  })
})

describe('keys', () => {
  it('of a queue share it fairly, and one key keeps its order over failures', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 4, keyConcurrency: 1 }])
    const path = pathOf(namespace, 'mail')
    let first = true
    rig.receiver.script(path, (request) => {
      const fails = first && (request.json() as { data: string }).data === 'a0'
      if (fails) first = false
      return { status: fails ? 500 : 200 }
    })
    for (let n = 0; n < 10; n++) await rig.client.enqueue(namespace, 'mail', { key: 'a', data: `a${n}` })
    for (let n = 0; n < 3; n++) await rig.client.enqueue(namespace, 'mail', { key: 'b', data: `b${n}` })
    await rig.client.until(namespace, 'mail', { succeeded: 13 })
    const order = dataAt(path) as string[]
    expect(order.filter((data) => data.startsWith('a'))).toEqual([
      'a0',
      'a0',
      ...Array.from({ length: 9 }, (_, n) => `a${n + 1}`),
    ])
    expect(order.filter((data) => data.startsWith('b'))).toEqual(['b0', 'b1', 'b2'])
  })

  it('mean nothing elsewhere, which is said', async () => {
    const namespace = await rig.service([{ name: 'plain' }, { name: 'keyed', keyConcurrency: 2 }])
    expect(await post('/jobs', { namespace, queue: 'plain', data: 1, key: 'a' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/key' }] },
    })
    expect(await post('/jobs', { namespace, queue: 'keyed', data: 1, priority: 'high' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/priority' }] },
    })
  })
})

describe('a rate limit', () => {
  it('spreads the starts, burns no attempt, and loses nothing', async () => {
    const namespace = await rig.service([
      { name: 'mail', concurrency: 50, rateLimit: { limit: 20, periodMs: 500, burst: 2 } },
    ])
    const path = pathOf(namespace, 'mail')
    for (let n = 0; n < 12; n++) await rig.client.enqueue(namespace, 'mail', { data: n })
    const requests = await rig.receiver.waitFor(path, 12)
    // Ten of them wait for a token each, one every 25 ms.
    expect((requests.at(-1)?.at ?? 0) - (requests[0]?.at ?? 0)).toBeGreaterThanOrEqual(200)
    expect(new Set(requests.map((request) => request.headers['x-attempt']))).toEqual(new Set(['1']))
    await rig.client.until(namespace, 'mail', { succeeded: 12 })
  })
})

describe('unique', () => {
  it('answers with the job that has the key', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    await post(`/queues/${namespace}/mail/pause`)
    const unique = { mode: 'until_finished', key: 'order-7' }
    const first = await post<{ id: string }>('/jobs', { namespace, queue: 'mail', data: 1, unique })
    expect(first.status).toBe(202)
    const second = await post('/jobs', { namespace, queue: 'mail', data: 2, unique })
    expect(second).toMatchObject({ status: 200, body: { id: first.body.id, deduplicated: 'unique' } })
    await post(`/queues/${namespace}/mail/resume`)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    expect((await post('/jobs', { namespace, queue: 'mail', data: 3, unique })).status).toBe(202)
    await rig.client.until(namespace, 'mail', { succeeded: 2 })
  })

  it('debounces to the last payload', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const unique = { mode: 'debounce', key: 'k', periodMs: 150 }
    for (const data of ['one', 'two', 'three']) await post('/jobs', { namespace, queue: 'mail', data, unique })
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    expect(dataAt(pathOf(namespace, 'mail'))).toEqual(['three'])
  })

  it.each([
    [{ mode: 'throttle' }, '/unique/periodMs'],
    [{ mode: 'until_started', periodMs: 5 }, '/unique/periodMs'],
    [{ mode: 'throttle', periodMs: 5, maxWaitMs: 5 }, '/unique/maxWaitMs'],
    [{ mode: 'once' }, '/unique/mode'],
  ])('refuses %j', async (unique, pointer) => {
    expect(await post('/jobs', { namespace: 'a', queue: 'b', data: 1, unique })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer }] },
    })
  })
})

describe('an atomic batch', () => {
  it('is accepted whole or refused whole', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const job = (data: unknown, idempotencyKey: string) => ({ namespace, queue: 'mail', data, idempotencyKey })
    type Results = { results: { status: number; problem?: { code: string } }[] }
    await post('/jobs', job(1, 'a'))
    const refused = await post<Results>('/jobs/batch', { atomic: true, jobs: [job(2, 'b'), job(9, 'a')] })
    expect(refused.body.results).toMatchObject([
      { status: 409, problem: { code: 'batch.refused' } },
      { status: 409, problem: { code: 'idempotency.conflict' } },
    ])
    const mistaken = await post('/jobs/batch', { atomic: true, jobs: [job(2, 'b'), { namespace }] })
    expect(mistaken).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/jobs/1/queue' }, { pointer: '/jobs/1/data' }] },
    })
    const accepted = await post<Results>('/jobs/batch', { atomic: true, jobs: [job(2, 'b'), job(3, 'c')] })
    expect(accepted.body.results.map(({ status }) => status)).toEqual([202, 202])
    await rig.client.until(namespace, 'mail', { succeeded: 3, accepted: 3 })
  })
})

describe('a circuit breaker', () => {
  it('stops a dead endpoint from burning attempts, leaves others alone, and lets go when it is back', async () => {
    const down = await rig.service(
      [{ name: 'mail', concurrency: 5, retries: 3, retryDelayMs: 30 }],
      'http://127.0.0.1:1',
    )
    const up = await rig.service([{ name: 'mail' }])
    const ids: string[] = []
    for (let n = 0; n < 40; n++) ids.push(await rig.client.enqueue(down, 'mail', { data: n }))
    await eventually(async () => (await metricOf(rig.client, 'millrace_circuit_open', { namespace: down })) === 1)
    const explained = await rig.client.call<{ reasons: { code: string }[] }>('GET', `/jobs/${ids.at(-1)}/explain`)
    expect(explained.body.reasons.map(({ code }) => code)).toContain('circuit_open')
    for (let n = 0; n < 10; n++) await rig.client.enqueue(up, 'mail')
    await rig.client.until(up, 'mail', { succeeded: 10 })
    expect((await rig.client.counts(down, 'mail')).dead).toBe(0)

    const { body } = await rig.client.call<{ manifest: unknown }>('GET', `/services/${down}`)
    const moved = await rig.client.call('PUT', `/services/${down}`, {
      body: { manifest: body.manifest, url: rig.receiver.url },
    })
    expect(moved.status).toBe(200)
    await rig.client.until(down, 'mail', { succeeded: 40, dead: 0 })
  })
})

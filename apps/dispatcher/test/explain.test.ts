import type { QueueDefinition } from '@millrace/contracts'
import type { JobPlace } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { explain as explainPlace } from '../src/intake/explain.ts'
import { expectBalance, metricOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

interface Explained {
  readonly state: string
  readonly reasons: readonly { readonly code: string; readonly detail: string }[]
}
const explain = async (id: string) => (await rig.client.call<Explained>('GET', `/jobs/${id}/explain`)).body
const codes = async (id: string) => (await explain(id)).reasons.map(({ code }) => code)
const post = <Body = Record<string, unknown>>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', path, { body })

describe('explain', () => {
  it('says what a job waits for', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 1 }])
    const path = pathOf(namespace, 'mail')
    rig.receiver.script(path, { kind: 'hang' })
    const running = await rig.client.enqueue(namespace, 'mail')
    await rig.receiver.waitFor(path, 1)
    const [first, second] = [await rig.client.enqueue(namespace, 'mail'), await rig.client.enqueue(namespace, 'mail')]
    const later = await rig.client.enqueue(namespace, 'mail', { delayMs: 60_000 })
    expect(await codes(running)).toEqual(['running'])
    expect(await codes(first)).toEqual(['concurrency'])
    expect(await explain(second)).toMatchObject({
      state: 'waiting',
      reasons: [
        { code: 'concurrency', detail: `1 of 1 jobs of the queue are running: ${running}.` },
        { code: 'in_line', detail: '1 jobs of the lane "normal" come before it.' },
      ],
    })
    expect(await codes(later)).toEqual(['scheduled'])
    for (const id of [first, second, later, running]) await post(`/jobs/${id}/cancel`)
    await rig.client.until(namespace, 'mail', { cancelled: 4 })
    expect((await rig.client.call('GET', `/jobs/${first}/explain`)).status).toBe(404)
  })
})

describe('explain of a rate limit', () => {
  it.each([
    ['the queue', {}, { rateLimit: { limit: 1, periodMs: 60_000 } }],
    ['the key "ada"', { key: 'ada' }, { keyConcurrency: 5, keyRateLimit: { limit: 1, periodMs: 60_000 } }],
  ])('names that of %s only while it has no token, with when the next one comes', async (whose, job, limits) => {
    const namespace = await rig.service([{ name: 'mail', ...limits }])
    await post(`/queues/${namespace}/mail/pause`)
    const first = await rig.client.enqueue(namespace, 'mail', job)
    expect(await codes(first)).toEqual(['queue_paused'])
    await post(`/queues/${namespace}/mail/resume`)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    const second = await rig.client.enqueue(namespace, 'mail', job)
    const { reasons } = await explain(second)
    expect(reasons.map(({ code }) => code)).toEqual(['rate_limit'])
    const [, at] =
      reasons[0]?.detail.match(/^The rate limit of .* has no token; the next one comes at (\S+), in \d+ ms\.$/) ?? []
    expect(reasons[0]?.detail).toContain(whose)
    expect(Date.parse(at as string) - Date.now()).toBeGreaterThan(30_000)
    await post(`/jobs/${second}/cancel`)
  })
})

describe('explain of a circuit', () => {
  it('says so of every queue that it stops, also of one whose answers did not open it', async () => {
    const down = 'http://127.0.0.1:1'
    const namespace = await rig.service([{ name: 'mail', retries: 9, retryDelayMs: 1 }, { name: 'other' }], down)
    const neighbour = await rig.service([{ name: 'mail' }], `${down}/below`)
    for (let n = 0; n < 10; n++) await rig.client.enqueue(namespace, 'mail', { data: n })
    await eventually(async () => (await metricOf(rig.client, 'millrace_circuit_open', { namespace })) === 1)
    const waiting = await Promise.all([
      rig.client.enqueue(namespace, 'other'),
      rig.client.enqueue(neighbour, 'mail'),
      rig.client.enqueue(namespace, 'mail'),
    ])
    // One of them may be the probe of the moment, which is over at once.
    for (const id of waiting)
      await eventually(async () => {
        const { reasons } = await explain(id)
        expect(reasons[0]).toMatchObject({
          code: 'circuit_open',
          detail: expect.stringMatching(/^The circuit of http:\/\/127\.0\.0\.1:1 has been open since 2/),
        })
        return reasons
      })
    const healthy = await rig.service([{ name: 'mail' }])
    await post(`/queues/${healthy}/mail/pause`)
    expect(await codes(await rig.client.enqueue(healthy, 'mail'))).toEqual(['queue_paused'])
    await post(`/queues/${healthy}/mail/resume`)
    await rig.client.until(healthy, 'mail', { succeeded: 1 })
  })

  it('does not believe what a dispatcher noted that is gone', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const redis = rig.redis.client()
    const note = { scope: 'origin', origin: rig.receiver.url, path: '/', since: '2026-11-22T00:00:00.000Z' }
    await redis.hset('{p0}:breakers', `${namespace}/mail`, JSON.stringify({ ...note, consumer: 'gone' }))
    await post(`/queues/${namespace}/mail/pause`)
    expect(await codes(await rig.client.enqueue(namespace, 'mail'))).toEqual(['queue_paused'])
    await post(`/queues/${namespace}/mail/resume`)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
  })
})

describe('explain of a key', () => {
  const detailOf = async (id: string, code: string) =>
    (await explain(id)).reasons.find((reason) => reason.code === code)?.detail

  it('names the job that runs, that waits for its retry, or that is dead and blocks it', async () => {
    const namespace = await rig.service([
      { name: 'mail', keyConcurrency: 1, onDead: 'block', retries: 1, retryDelayMs: 60_000 },
    ])
    const path = pathOf(namespace, 'mail')
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(path, () => gate.promise.then(() => ({ status: 500 })), { status: 489 }, {})
    const first = await rig.client.enqueue(namespace, 'mail', { key: 'ada' })
    await rig.receiver.waitFor(path, 1)
    const second = await rig.client.enqueue(namespace, 'mail', { key: 'ada' })
    const third = await rig.client.enqueue(namespace, 'mail', { key: 'ada' })
    expect(await detailOf(second, 'key_concurrency')).toBe(`1 of 1 jobs of the key "ada" have a slot: ${first}.`)
    expect(await detailOf(third, 'in_line')).toBe('1 jobs of the key "ada" come before it.')

    gate.resolve()
    await rig.client.until(namespace, 'mail', { scheduled: 1 })
    expect(await detailOf(second, 'key_concurrency')).toContain(`${first} (waits for its retry)`)
    await post(`/jobs/${first}/reschedule`, { delayMs: 0 })
    await rig.client.until(namespace, 'mail', { dead: 1 })
    expect(await detailOf(second, 'key_concurrency')).toContain(`${first} (a dead letter`)
    expect(await codes(first)).toEqual(['dead'])
    await post(`/queues/${namespace}/mail/pause`, { key: 'ada', who: 'bea', why: 'asked' })
    expect(await detailOf(second, 'key_paused')).toMatch(/^The key "ada" was paused by bea at .*: asked\.$/)
    await post(`/queues/${namespace}/mail/resume`, { key: 'ada' })
    await post(`/jobs/${first}/retry`)
    await rig.client.until(namespace, 'mail', { succeeded: 3 })
  })

  it('names a few of many that run', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 7 }])
    rig.receiver.script(pathOf(namespace, 'mail'), { kind: 'hang' })
    const ids: string[] = []
    for (let n = 0; n < 8; n++) ids.push(await rig.client.enqueue(namespace, 'mail', { data: n }))
    await rig.client.until(namespace, 'mail', { running: 7 })
    expect(await detailOf(ids[7]!, 'concurrency')).toBe(
      `7 of 7 jobs of the queue are running: ${ids.slice(0, 5).join(', ')}, 2 more.`,
    )
    for (const id of ids) await post(`/jobs/${id}/cancel`)
    await rig.client.until(namespace, 'mail', { cancelled: 8 })
  })
})

describe('explain of a job', () => {
  it('under a worker lease, or in a queue that is paused and drained, says so', async () => {
    const namespace = await rig.service([{ name: 'mail' }, { name: 'long' }])
    rig.receiver.script(pathOf(namespace, 'long'), { status: 202, headers: { 'x-job-lease': '60' } })
    const leased = await rig.client.enqueue(namespace, 'long')
    await eventually(async () => expect(await codes(leased)).toEqual(['leased']))
    await post(`/jobs/${leased}/cancel`)

    await post(`/queues/${namespace}/mail/pause`)
    const waiting = await rig.client.enqueue(namespace, 'mail')
    await post(`/queues/${namespace}/mail/drain`, { who: 'ada' })
    expect(await codes(waiting)).toEqual(['queue_paused', 'queue_draining'])
    await post(`/queues/${namespace}/mail/resume`)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
  })

  it.each<[string, Partial<JobPlace>, string]>([
    ['next', {}, 'Nothing holds it up: it is the next to start.'],
    ['due', { state: 'scheduled', dueMs: 1000 }, 'It was due at 1970-01-01T00:00:01.000Z and is about to move'],
    ['in_line', { ahead: 40, moreAhead: true }, '40 or more jobs of the lane "normal" come before it.'],
    ['running', { state: 'running', consumer: 'd1', cancelling: true }, 'by d1, and its request is being ended'],
  ])('that is at a point which passes at once: %s', (code, place, detail) => {
    const at: JobPlace = {
      ...{ state: 'waiting', address: 'shop/mail', lane: 'normal' },
      ...{ ahead: 0, keyRunning: 0, queueRunning: 0, cancelling: false },
      ...place,
    }
    const reasons = explainPlace(at, { definition: { concurrency: 5 } as QueueDefinition, nowMs: 2000 })
    expect(reasons).toEqual([{ code, detail: expect.stringContaining(detail) }])
  })

  it('whose queue is declared no more says that nobody delivers it', () => {
    const at = { state: 'waiting', address: 'shop/mail', lane: 'normal', ahead: 0, keyRunning: 0, queueRunning: 0 }
    const reasons = explainPlace({ ...at, cancelling: false } as JobPlace, { nowMs: 0 })
    expect(reasons.map(({ code }) => code)).toEqual(['undeclared'])
  })
})

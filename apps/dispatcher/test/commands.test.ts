import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventsOf, expectBalance, pathOf, type Rig, startRig, typesOf } from './fixture.ts'

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
const post = <Body = Record<string, unknown>>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', path, { body })

describe('cancel', () => {
  it('of a scheduled and of a waiting job', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    await post(`/queues/${namespace}/mail/pause`)
    const scheduled = await rig.client.enqueue(namespace, 'mail', { delayMs: 60_000 })
    const waiting = await rig.client.enqueue(namespace, 'mail')
    for (const id of [scheduled, waiting]) {
      expect(await post(`/jobs/${id}/cancel`, { who: 'ada', why: 'test' })).toMatchObject({
        status: 200,
        body: { id, result: 'cancelled' },
      })
      expect((await eventsOf(rig.redis, id)).at(-1)).toMatchObject({
        type: 'job.cancelled',
        data: '{"who":"ada","why":"test"}',
      })
    }
    expect(await rig.client.counts(namespace, 'mail')).toMatchObject({ cancelled: 2, waiting: 0, scheduled: 0 })
    expect(await post(`/jobs/${waiting}/cancel`)).toMatchObject({ status: 404, body: { code: 'job.unknown' } })
  })

  it('of a running job ends its request', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const path = pathOf(namespace, 'mail')
    rig.receiver.script(path, { kind: 'hang' })
    const id = await rig.client.enqueue(namespace, 'mail')
    await rig.receiver.waitFor(path, 1)
    expect(await post(`/jobs/${id}/cancel`)).toMatchObject({ status: 202, body: { result: 'cancelling' } })
    await rig.client.until(namespace, 'mail', { cancelled: 1, running: 0 })
    await eventually(() => rig.receiver.requests(path)[0]?.aborted)
    expect(await typesOf(rig.redis, id)).toEqual([
      'job.enqueued',
      'job.started',
      'job.cancel_requested',
      'job.attempt_failed',
      'job.cancelled',
    ])
  })

  it('of what is no job is a problem', async () => {
    expect(await post('/jobs/nonsense/cancel')).toMatchObject({ status: 404, body: { code: 'job.unknown' } })
    expect(await post('/jobs/nonsense/cancel', { reason: 1 })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/reason' }] },
    })
  })
})

describe('reschedule', () => {
  it('runs a scheduled job now, or at another time', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const id = await rig.client.enqueue(namespace, 'mail', { delayMs: 60_000 })
    const runAt = new Date(Date.now() + 30_000).toISOString()
    expect(await post(`/jobs/${id}/reschedule`, { runAt })).toMatchObject({ status: 200, body: { dueAt: runAt } })
    expect((await post(`/jobs/${id}/reschedule`, { delayMs: 0 })).status).toBe(200)
    await rig.receiver.waitFor(pathOf(namespace, 'mail'), 1)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    expect((await post(`/jobs/${id}/reschedule`, { delayMs: 0 })).status).toBe(404)
  })

  it('refuses a job that waits for no time, and a request that says no time or two', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    await post(`/queues/${namespace}/mail/pause`)
    const id = await rig.client.enqueue(namespace, 'mail')
    expect(await post(`/jobs/${id}/reschedule`, { delayMs: 5 })).toMatchObject({
      status: 409,
      body: { code: 'job.not_waiting' },
    })
    expect((await post(`/jobs/${id}/reschedule`)).status).toBe(422)
    await post(`/jobs/${id}/cancel`)
  })
})

describe('pause and resume', () => {
  it('hold a queue, with who and why, over a new manifest, and let it go', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const path = pathOf(namespace, 'mail')
    expect((await post(`/queues/${namespace}/mail/pause`, { who: 'ada', why: 'deploy' })).body).toEqual({
      result: 'paused',
    })
    const id = await rig.client.enqueue(namespace, 'mail')
    expect((await rig.client.counts(namespace, 'mail')).paused).toMatchObject({ who: 'ada', why: 'deploy' })
    expect((await explain(id)).reasons[0]).toMatchObject({
      code: 'queue_paused',
      detail: expect.stringMatching(/paused by ada .*: deploy/),
    })
    expect(rig.receiver.requests(path)).toEqual([])
    expect((await post(`/queues/${namespace}/mail/resume`)).body).toEqual({ result: 'resumed' })
    await rig.receiver.waitFor(path, 1)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
  })

  it('of a key need a queue with keys', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    expect(await post(`/queues/${namespace}/mail/pause`, { key: 'a' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/key' }] },
    })
    expect((await post(`/queues/${namespace}/nothing/pause`)).status).toBe(404)
  })
})

describe('purge', () => {
  it('counts, gives a token, and purges with it once', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    await post(`/queues/${namespace}/mail/pause`)
    for (let n = 0; n < 3; n++) await rig.client.enqueue(namespace, 'mail')
    const { body } = await post<{ token: string; waiting: number }>(`/queues/${namespace}/mail/purge`, { who: 'ada' })
    expect(body).toMatchObject({ waiting: 3, scheduled: 0, token: expect.stringMatching(/^purge_/) })
    await rig.client.enqueue(namespace, 'mail')
    expect((await post(`/queues/${namespace}/mail/purge`, { token: 'guess' })).status).toBe(409)
    expect((await post(`/queues/${namespace}/mail/purge`, { token: body.token })).body).toEqual({ purged: 3 })
    expect(await post(`/queues/${namespace}/mail/purge`, { token: body.token })).toMatchObject({
      status: 409,
      body: { code: 'queue.purge_token' },
    })
    expect(await rig.client.counts(namespace, 'mail')).toMatchObject({ cancelled: 3, waiting: 1 })
  })
})

describe('balance', () => {
  it('accounts for every accepted job', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    await rig.client.enqueue(namespace, 'mail', { delayMs: 60_000 })
    expect((await rig.client.call('GET', `/queues/${namespace}/mail/balance`)).body).toEqual({
      ...{ accepted: 2, succeeded: 1, dead: 0, cancelled: 0, expired: 0, waiting: 0, scheduled: 1, running: 0 },
      imbalance: 0,
    })
  })
})

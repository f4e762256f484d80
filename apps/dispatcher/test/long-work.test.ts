import { randomUUID } from 'node:crypto'
import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { dispatcherOn, eventsOf, expectBalance, pathOf, type Rig, startRig, typesOf } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

const post = <Body = Record<string, unknown>>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', path, { body })

/** A job that its worker has taken over for so many seconds. */
async function take(leaseSeconds: string, queue: Record<string, unknown> = {}) {
  const namespace = await rig.service([{ name: 'video', retries: 1, ...queue }])
  const path = pathOf(namespace, 'video')
  rig.receiver.script(path, { status: 202, headers: { 'x-job-lease': leaseSeconds } }, {})
  const id = await rig.client.enqueue(namespace, 'video')
  const [request] = await rig.receiver.waitFor(path, 1)
  await eventually(async () => (await typesOf(rig.redis, id)).includes('job.leased'))
  return { namespace, path, id, token: String(request?.headers['x-job-token']) }
}

const REPORT = { title: 'Rendering', total: 20, progress: 1 }
/** What a worker could say, and how each is answered. */
async function allWords(id: string, token: string): Promise<number[]> {
  const words = {
    progress: REPORT,
    heartbeat: { leaseSeconds: 5 },
    fail: { error: 'forged' },
    complete: { result: 'forged' },
  }
  const replies = Object.entries(words).map(([word, body]) => post(`/jobs/${id}/${word}`, { token, ...body }))
  return (await Promise.all(replies)).map(({ status }) => status)
}

describe('a worker that answers 202 with a lease', () => {
  it('holds the job after the request, extends, and completes it with a result', async () => {
    const { namespace, id, token } = await take('60')
    expect(await rig.client.counts(namespace, 'video')).toMatchObject({ running: 1, succeeded: 0 })
    expect((await post(`/jobs/${id}/heartbeat`, { token, leaseSeconds: 120 })).body).toEqual({ result: 'extended' })
    expect((await post(`/jobs/${id}/complete`, { token, result: { frames: 9 } })).body).toEqual({ result: 'settled' })
    expect(await rig.client.counts(namespace, 'video')).toMatchObject({ running: 0, succeeded: 1 })
    expect((await eventsOf(rig.redis, id)).at(-1)?.data).toContain('"result":{"frames":9}')
    expect(await post(`/jobs/${id}/complete`, { token })).toMatchObject({ status: 409, body: { code: 'job.not_held' } })
  })

  it('may fail it, with the retries of the queue and the error in the history', async () => {
    const { namespace, path, id, token } = await take('60')
    expect((await post(`/jobs/${id}/fail`, { token, error: 'no disk' })).status).toBe(200)
    await rig.receiver.waitFor(path, 2)
    await rig.client.until(namespace, 'video', { succeeded: 1 })
    const failed = (await eventsOf(rig.redis, id)).find((event) => event.type === 'job.attempt_failed')
    expect(JSON.parse(failed?.data ?? '')).toMatchObject({
      reason: 'worker_failed',
      lastResponse: { error: 'no disk' },
    })
    expect(rig.receiver.requests(path).map((request) => request.headers['x-attempt'])).toEqual(['1', '2'])
  })

  it('may say that trying again is pointless', async () => {
    const { namespace, id, token } = await take('60')
    await post(`/jobs/${id}/fail`, { token, retry: false })
    expect(await rig.client.deadLetters(namespace)).toMatchObject([{ id, reason: 'worker_failed', attempts: 1 }])
  })

  it('that falls silent loses the job to another delivery, at no attempt, and its token with it', async () => {
    const { namespace, path, id, token } = await take('1')
    rig.receiver.script(path, { status: 202, headers: { 'x-job-lease': '60' } })
    const [, again] = await rig.receiver.waitFor(path, 2, 10_000)
    expect(again?.headers).toMatchObject({ 'x-attempt': '1', 'x-job-epoch': '2' })
    await eventually(async () => (await typesOf(rig.redis, id)).filter((type) => type === 'job.leased').length === 2)
    expect(await allWords(id, token), 'the token of the delivery before').toEqual([409, 409, 409, 409])
    expect((await post(`/jobs/${id}/complete`, { token: String(again?.headers['x-job-token']) })).status).toBe(200)
    await rig.client.until(namespace, 'video', { succeeded: 1 })
    expect(await typesOf(rig.redis, id)).toEqual([
      ...['job.enqueued', 'job.started', 'job.leased', 'job.taken_over', 'job.leased', 'job.succeeded'],
    ])
  })

  it('outlives the dispatcher that delivered to it', async () => {
    const first = await dispatcherOn(rig.redis.url)
    await first.dispatcher.stop()
    const { namespace, id, token } = await take('60')
    const second = await dispatcherOn(rig.redis.url)
    const { body } = await second.client.call('POST', `/jobs/${id}/complete`, { body: { token } })
    expect(body).toEqual({ result: 'settled' })
    await second.dispatcher.stop()
    await rig.client.until(namespace, 'video', { succeeded: 1 })
  })

  it('reads that it lost the job when somebody cancels it', async () => {
    const { namespace, id, token } = await take('60')
    expect((await post(`/jobs/${id}/cancel`)).body).toEqual({ id, result: 'cancelled' })
    expect((await post(`/jobs/${id}/heartbeat`, { token, leaseSeconds: 5 })).status).toBe(409)
    expect(await rig.client.counts(namespace, 'video')).toMatchObject({ cancelled: 1, running: 0 })
  })

  it('proves with the token that it may speak, of this job, until it has said the last word', async () => {
    const [{ id, token, namespace }, other] = [await take('60'), await take('60')]
    const upper = token.toUpperCase()
    const forged = [
      'guess',
      randomUUID(),
      upper === token ? token.toLowerCase() : upper,
      `${token}0`,
      token.slice(0, -1),
    ]
    for (const guess of forged) expect(await allWords(id, guess), guess).toEqual([409, 409, 409, 409])
    expect(await allWords(id, other.token), 'the token of another job').toEqual([409, 409, 409, 409])
    expect(await allWords(other.id, token), 'the token at another job').toEqual([409, 409, 409, 409])
    expect(await rig.client.counts(namespace, 'video')).toMatchObject({ running: 1, succeeded: 0, scheduled: 0 })
    expect((await post(`/jobs/${id}/complete`, { token })).status).toBe(200)
    expect((await allWords(id, token)).slice(1), 'a second time').toEqual([409, 409, 409])
    expect((await post(`/jobs/${id}/progress`, { token, ...REPORT })).status, 'of a job that is at its end').toBe(404)
    expect((await post(`/jobs/${other.id}/progress`, REPORT)).status, 'without a token').toBe(409)
    expect(await post(`/jobs/${other.id}/complete`)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/token' }] },
    })
    expect((await post('/jobs/nonsense/complete', { token: 'x' })).status).toBe(404)
  })
})

describe('progress', () => {
  const progressOf = async (id: string) =>
    (await eventsOf(rig.redis, id))
      .filter((event) => event.type === 'job.progress')
      .map((event) => JSON.parse(event.data).progress)

  it('goes into the log, the last of many reports always', async () => {
    const { namespace, id, token } = await take('60')
    const startedAt = Date.now()
    for (let progress = 0; progress <= 20; progress++) {
      const report = { token, title: 'Rendering', total: 20, progress, statusMessage: `frame ${progress}` }
      expect((await post(`/jobs/${id}/progress`, report)).status).toBe(202)
    }
    const logged = await eventually(async () => {
      const values = await progressOf(id)
      return values.at(-1) === 20 && values
    })
    expect(logged[0]).toBe(0)
    // The first at once, then one in each 250 ms that this took, on whatever machine.
    expect(logged.length).toBeLessThanOrEqual(2 + (Date.now() - startedAt) / 250)
    await post(`/jobs/${id}/complete`, { token })
    await rig.client.until(namespace, 'video', { succeeded: 1 })
  })

  it('is refused when it makes no sense, or of a job that is at its end', async () => {
    const { id, token } = await take('60')
    expect(await post(`/jobs/${id}/progress`, { token, title: 'x', total: 1, progress: 2 })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/progress' }] },
    })
    await post(`/jobs/${id}/complete`, { token })
    expect((await post(`/jobs/${id}/progress`, { title: 'x', total: 1, progress: 1 })).status).toBe(404)
  })
})

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { applyTo, dispatcherOn, expectBalance, metricOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

const post = <Body = Record<string, unknown>>(path: string, body: unknown = {}, headers: Record<string, string> = {}) =>
  rig.client.call<Body>('POST', path, { body, headers })
const explain = async (id: string) => {
  const { body } = await rig.client.call<{ reasons: { code: string; detail: string }[] }>('GET', `/jobs/${id}/explain`)
  return body.reasons
}

describe('a queue that is drained', () => {
  it('refuses new jobs by whom, delivers what is in, and says so everywhere until it is resumed', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const path = pathOf(namespace, 'mail')
    const job = { namespace, queue: 'mail', data: 1 }
    const later = await rig.client.enqueue(namespace, 'mail', { delayMs: 60_000 })
    const known = await post<{ id: string }>('/jobs', job, { 'idempotency-key': 'first' })
    const drained = await post(`/queues/${namespace}/mail/drain`, { who: 'ada', why: 'we move' })
    expect(drained.body).toEqual({ result: 'draining' })
    expect((await post(`/queues/${namespace}/mail/drain`, { who: 'bob' })).body).toEqual({ result: 'unchanged' })

    const refused = await post('/jobs', job)
    expect(refused).toMatchObject({ status: 503, body: { code: 'queue.draining' } })
    expect(refused.body.detail).toMatch(/^Queue "mail" of .* has been drained by ada since .* \(we move\)/)
    expect(refused.headers.get('retry-after')).toBe('30')
    const replay = await post('/jobs', job, { 'idempotency-key': 'first' })
    expect(replay, 'what was accepted stays accepted').toMatchObject({ status: 200, body: { id: known.body.id } })
    const batch = { jobs: [job, job] }
    for (const atomic of [true, false]) {
      const { body } = await post<{ results: { problem: { code: string } }[] }>('/jobs/batch', { ...batch, atomic })
      expect(body.results.map(({ problem }) => problem.code)).toEqual(['queue.draining', 'queue.draining'])
    }

    expect(await rig.client.counts(namespace, 'mail')).toMatchObject({ draining: { who: 'ada', why: 'we move' } })
    expect(await explain(later)).toMatchObject([{ code: 'scheduled' }, { code: 'queue_draining' }])
    await rig.client.until(namespace, 'mail', { accepted: 2, succeeded: 1, scheduled: 1 })
    await post(`/jobs/${later}/reschedule`, { delayMs: 0 })
    await rig.client.until(namespace, 'mail', { succeeded: 2 })
    expect(rig.receiver.requests(path)).toHaveLength(2)

    expect((await post(`/queues/${namespace}/mail/resume`, { who: 'ada' })).body).toEqual({ result: 'resumed' })
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 3 })
    expect((await rig.client.counts(namespace, 'mail')).draining).toBeUndefined()
  })

  it('stays so for other dispatchers, over a restart and a new manifest, and shows as a metric', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    await post(`/queues/${namespace}/mail/drain`, { who: 'ada' })
    const { dispatcher, client } = await dispatcherOn(rig.redis.url)
    try {
      await applyTo(client, namespace, [{ name: 'mail', retries: 7 }], rig.receiver.url)
      const { status } = await client.call('POST', '/jobs', { body: { namespace, queue: 'mail', data: 1 } })
      expect(status).toBe(503)
      await expect.poll(() => metricOf(client, 'millrace_queue_draining', { namespace }), { timeout: 60_000 }).toBe(1)
    } finally {
      await dispatcher.stop()
    }
  })

  it('is another thing than a pause: a resume ends both', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const id = await rig.client.enqueue(namespace, 'mail', { delayMs: 60_000 })
    for (const word of ['pause', 'drain']) await post(`/queues/${namespace}/mail/${word}`, { who: 'ada' })
    expect((await explain(id)).map(({ code }) => code)).toEqual(['scheduled', 'queue_paused', 'queue_draining'])
    await post(`/queues/${namespace}/mail/resume`)
    expect((await explain(id)).map(({ code }) => code)).toEqual(['scheduled'])
    await post(`/jobs/${id}/cancel`)
  })

  it('is one that producers enqueue into', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    expect((await post(`/queues/${namespace}/nothing/drain`)).status).toBe(404)
    expect(await post(`/queues/${namespace}/mail/drain`, { key: 'a' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/key' }] },
    })
  })

  it('takes what an operator redrives: those jobs were accepted before', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 0 }])
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 489 }, { status: 200 })
    const id = await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { dead: 1 })
    await post(`/queues/${namespace}/mail/drain`, { who: 'ada' })
    expect((await post(`/jobs/${id}/retry`)).status).toBe(202)
    await rig.client.until(namespace, 'mail', { dead: 0, succeeded: 1 })
  })
})

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { expectBalance, pathOf, type Rig, startRig, typesOf } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

const attemptsAt = (path: string) => rig.receiver.requests(path).map((request) => request.headers['x-attempt'])

describe('a failing attempt', () => {
  it('is tried again with growing delays until one succeeds', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 3, retryDelayMs: 60 }])
    const path = pathOf(namespace, 'mail')
    rig.receiver.script(path, { status: 500 }, { status: 404 }, { status: 429 }, { status: 200 })
    const id = await rig.client.enqueue(namespace, 'mail', { data: { n: 1 } })
    const requests = await rig.receiver.waitFor(path, 4)
    await rig.client.until(namespace, 'mail', { succeeded: 1, dead: 0, scheduled: 0 })
    expect(attemptsAt(path)).toEqual(['1', '2', '3', '4'])
    expect(requests.map((request) => (request.json() as { attempt: number }).attempt)).toEqual([1, 2, 3, 4])
    expect(new Set(requests.map((request) => request.headers['webhook-id']))).toEqual(new Set([id]))
    const gaps = requests.slice(1).map((request, index) => request.at - (requests[index]?.at ?? 0))
    expect(gaps[0]).toBeGreaterThanOrEqual(59)
    expect(gaps[1]).toBeGreaterThanOrEqual(119)
    expect(gaps[2]).toBeGreaterThanOrEqual(239)
    expect(await typesOf(rig.redis, id)).toEqual([
      'job.enqueued',
      ...['job.started', 'job.attempt_failed', 'job.ready'],
      ...['job.started', 'job.attempt_failed', 'job.ready'],
      ...['job.started', 'job.attempt_failed', 'job.ready'],
      ...['job.started', 'job.succeeded'],
    ])
  })

  it('waits for Retry-After when that is longer than the backoff', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const path = pathOf(namespace, 'mail')
    rig.receiver.script(path, { status: 503, headers: { 'retry-after': '1' } }, {})
    await rig.client.enqueue(namespace, 'mail')
    const [first, second] = await rig.receiver.waitFor(path, 2)
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(990)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
  })

  it.each([
    ['status 489', { status: 489 }],
    ['the header x-no-retry: 1', { status: 500, headers: { 'x-no-retry': '1' } }],
  ])('is the last one when the endpoint says so by %s', async (_how, answer) => {
    const namespace = await rig.service([{ name: 'mail', retries: 5 }])
    rig.receiver.script(pathOf(namespace, 'mail'), answer)
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { dead: 1 })
    expect(attemptsAt(pathOf(namespace, 'mail'))).toEqual(['1'])
    expect(await rig.client.deadLetters(namespace)).toMatchObject([{ reason: 'no_retry', attempts: 1 }])
  })

  it('with retries 0 is a dead letter at once', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 0 }])
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 500 })
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { dead: 1 })
    expect(attemptsAt(pathOf(namespace, 'mail'))).toEqual(['1'])
  })
})

describe('a dead letter', () => {
  const bury = async (queues: { name: string }[], perQueue: number) => {
    const namespace = await rig.service(queues.map((queue) => ({ retries: 0, ...queue })))
    const ids: string[] = []
    for (const { name } of queues) {
      rig.receiver.script(pathOf(namespace, name), { status: 500, body: 'broken' })
      for (let n = 0; n < perQueue; n++) {
        ids.push(await rig.client.enqueue(namespace, name, { data: { n } }))
        await rig.client.until(namespace, name, { dead: n + 1 })
      }
    }
    return { namespace, ids }
  }

  it('has the reason, the last response, the attempts and the payload', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 1 }])
    const answer = { status: 422, body: 'x'.repeat(5000), headers: { 'x-why': 'no such record', 'set-cookie': 's=1' } }
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 500 }, answer)
    const id = await rig.client.enqueue(namespace, 'mail', { data: { to: 'ada' } })
    await rig.client.until(namespace, 'mail', { dead: 1 })
    const [letter] = await rig.client.deadLetters(namespace)
    expect(letter).toMatchObject({
      id,
      namespace,
      queue: 'mail',
      reason: 'http_status',
      attempts: 2,
      data: { to: 'ada' },
    })
    expect(letter?.lastResponse).toMatchObject({ status: 422, headers: { 'x-why': 'no such record' } })
    expect(letter?.lastResponse.body).toBe('x'.repeat(4096))
    expect(letter?.lastResponse.headers).not.toHaveProperty('set-cookie')
    expect(Date.parse(letter?.diedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(letter?.enqueuedAt ?? ''))
  })

  it('is put back by POST /jobs/{id}/retry, with its id and its attempts starting again, once', async () => {
    const { namespace, ids } = await bury([{ name: 'mail' }], 1)
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 200 })
    const retry = () => rig.client.call('POST', `/jobs/${ids[0]}/retry`, { body: { who: 'ada', why: 'mended' } })
    expect(await retry()).toMatchObject({ status: 202, body: { id: ids[0] } })
    await rig.client.until(namespace, 'mail', { dead: 0, succeeded: 1 })
    expect(await retry()).toMatchObject({ status: 404, body: { code: 'job.unknown' } })
    expect(rig.receiver.requests(pathOf(namespace, 'mail')).at(-1)?.headers).toMatchObject({
      'x-attempt': '1',
      'x-job-epoch': '2',
      'webhook-id': ids[0],
    })
    expect(await typesOf(rig.redis, ids[0] as string)).toContain('job.redriven')
  })

  it('is redriven by id, or with its whole queue, and never from another queue', async () => {
    const { namespace, ids } = await bury([{ name: 'mail' }, { name: 'print' }], 3)
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 200 })
    const redrive = (filter: object, rest: object = {}) =>
      rig.client.call<{ redriven: number; ids: string[] }>('POST', '/dead-letters/redrive', {
        body: { filter: { namespace, queue: 'mail', ...filter }, ...rest },
      })
    expect((await redrive({ ids: [ids[1], ids[4], 'job_nonsense'] })).body).toEqual({ redriven: 1, ids: [ids[1]] })
    expect((await redrive({}, { limit: 1 })).body).toEqual({ redriven: 1, ids: [ids[0]] })
    expect((await redrive({})).body).toEqual({ redriven: 1, ids: [ids[2]] })
    expect((await redrive({})).body).toEqual({ redriven: 0, ids: [] })
    await rig.client.until(namespace, 'mail', { succeeded: 3, dead: 0 })
    await rig.client.until(namespace, 'print', { succeeded: 0, dead: 3 })
  })

  it('is listed page by page, through all queues of the namespace, each once', async () => {
    const { namespace, ids } = await bury([{ name: 'mail' }, { name: 'empty-one' }, { name: 'print' }].slice(0, 2), 3)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const query = `/dead-letters?namespace=${namespace}&limit=2${cursor ? `&cursor=${cursor}` : ''}`
      const { body } = await rig.client.call<{ deadLetters: { id: string }[]; cursor?: string }>('GET', query)
      expect(body.deadLetters.length).toBeLessThanOrEqual(2)
      seen.push(...body.deadLetters.map(({ id }) => id))
      cursor = body.cursor
    } while (cursor)
    expect(seen).toEqual(ids)
    expect(await rig.client.deadLetters(namespace, '&queue=mail')).toHaveLength(3)
  })
})

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventsOf, expectBalance, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ redis: { appendonly: true, appendfsync: 'always' } })
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

describe('POST /jobs', () => {
  it('answers 202 with the id and what the accepting Redis had done with the job', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const { status, body } = await rig.client.call('POST', '/jobs', { body: { namespace, queue: 'mail', data: 1 } })
    expect(status).toBe(202)
    expect(body).toEqual({ id: expect.stringMatching(/^job_[0-9a-f]{19}$/), durability: 'fsync', replicas: 0 })
  })

  it('takes any JSON value as data, null included', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    for (const data of [null, false, 0, '', [], {}]) await rig.client.enqueue(namespace, 'mail', { data })
    const requests = await rig.receiver.waitFor(pathOf(namespace, 'mail'), 6)
    const sent = requests.map((request) => (request.json() as { data: unknown }).data)
    expect(new Set(sent.map((data) => JSON.stringify(data)))).toEqual(new Set(['null', 'false', '0', '""', '[]', '{}']))
  })

  it('delivers a large payload byte for byte, and shows it so as a dead letter', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 0 }])
    const path = pathOf(namespace, 'mail')
    rig.receiver.script(path, { status: 489 })
    const data = `[ ${Array.from({ length: 500 }, (_, n) => `{"n":900719925474099${n % 10},"n":1.0e2,"é":"漢\u{1f600}\\u0000"}`).join(' , ')} ]`
    const body = `{"namespace":"${namespace}","queue":"mail","data":${data}}`
    const { body: accepted } = await rig.client.call<{ id: string }>('POST', '/jobs', { text: body })
    await rig.client.until(namespace, 'mail', { dead: 1 })
    expect(rig.receiver.requests(path)[0]?.body.toString()).toContain(`"data":${data}}`)
    const letters = await fetch(`${rig.client.url}/dead-letters?namespace=${namespace}`)
    expect(await letters.text()).toContain(JSON.stringify(JSON.parse(data)))
    expect((await eventsOf(rig.redis, accepted.id))[0]?.data).toContain(`"data":${data}}`)
  })

  it('delivers the payload byte for byte: big numbers, escapes, duplicate keys, order and spaces', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const data = '{"big": 9007199254740993, "a":1,"a":2, "text":"\\u00e9é \\ud83d\\ude00 😀 \\/", "e":1.50E+2}'
    await rig.client.call('POST', '/jobs', { text: `{"namespace":"${namespace}","data":${data} ,"queue":"mail"}` })
    const [request] = await rig.receiver.waitFor(pathOf(namespace, 'mail'), 1)
    expect(request?.body.slice(request.body.indexOf('"data":') + 7, -1)).toBe(data)
  })
})

describe('a delivery', () => {
  it('is a POST of {jobId, queue, attempt, data} with the documented headers', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 2, timeoutMs: 4000 }])
    const id = await rig.client.enqueue(namespace, 'mail', { data: { to: 'ada' } })
    const [request] = await rig.receiver.waitFor(pathOf(namespace, 'mail'), 1)
    expect(request).toMatchObject({
      method: 'POST',
      body: `{"jobId":"${id}","queue":"mail","attempt":1,"data":{"to":"ada"}}`,
    })
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      'idempotency-key': id,
      'x-attempt': '1',
      'x-max-attempts': '3',
      'x-deadline-ms': '4000',
      'x-job-epoch': '1',
      traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/),
    })
  })

  it("carries the producer's traceparent, and a fresh one instead of a malformed one", async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const send = (traceparent: string) =>
      rig.client.call('POST', '/jobs', { body: { namespace, queue: 'mail', data: 1 }, headers: { traceparent } })
    const good = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    await send(good)
    const [first] = await rig.receiver.waitFor(pathOf(namespace, 'mail'), 1)
    expect(first?.headers.traceparent).toBe(good)
    await send('00-zzz-1-01')
    const [, second] = await rig.receiver.waitFor(pathOf(namespace, 'mail'), 2)
    expect(second?.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  it('is complete with any 2xx, whatever the body says', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    rig.receiver.script(
      pathOf(namespace, 'mail'),
      { status: 200, body: { success: false } },
      { status: 204, body: '' },
      { status: 299, body: 'not JSON at all' },
    )
    for (let n = 0; n < 3; n++) await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 3, dead: 0, running: 0 })
    expect(rig.receiver.requests(pathOf(namespace, 'mail'))).toHaveLength(3)
  })

  it('goes below the path of a service URL that has one', async () => {
    const namespace = await rig.service([{ name: 'mail' }], `${rig.receiver.url}/base/`)
    await rig.client.enqueue(namespace, 'mail')
    await rig.receiver.waitFor(`/base${pathOf(namespace, 'mail')}`, 1)
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
  })
})

describe('options of a job', () => {
  it('waits for delayMs and for runAt, and a past runAt means now', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const startedAt = Date.now()
    await rig.client.enqueue(namespace, 'mail', { data: 'delay', delayMs: 150 })
    await rig.client.enqueue(namespace, 'mail', { data: 'runAt', runAt: new Date(startedAt + 300).toISOString() })
    await rig.client.enqueue(namespace, 'mail', { data: 'past', runAt: '2020-01-01T00:00:00+02:00' })
    const requests = await rig.receiver.waitFor(pathOf(namespace, 'mail'), 3)
    const arrivals = requests.map((request) => ({
      ...(request.json() as { data: string }),
      afterMs: request.at - startedAt,
    }))
    expect(arrivals.map(({ data }) => data)).toEqual(['past', 'delay', 'runAt'])
    expect(arrivals[1]?.afterMs).toBeGreaterThanOrEqual(150)
    expect(arrivals[2]?.afterMs).toBeGreaterThanOrEqual(300)
  })

  it('takes the high lane before normal before low', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 1 }])
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(pathOf(namespace, 'mail'), () => gate.promise.then(() => ({})), {})
    await rig.client.enqueue(namespace, 'mail', { data: 'first' })
    await rig.client.until(namespace, 'mail', { running: 1 })
    for (const priority of ['low', 'normal', 'high']) {
      await rig.client.enqueue(namespace, 'mail', { data: priority, priority })
    }
    gate.resolve()
    const requests = await rig.receiver.waitFor(pathOf(namespace, 'mail'), 4)
    expect(requests.map((request) => (request.json() as { data: string }).data)).toEqual([
      'first',
      'high',
      'normal',
      'low',
    ])
  })

  it('does not start after expiresAt, and counts as expired, not as failed', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 1 }])
    await rig.client.enqueue(namespace, 'mail', { data: 'old', expiresAt: new Date(Date.now() - 1000).toISOString() })
    await rig.client.enqueue(namespace, 'mail', { data: 'new', expiresAt: new Date(Date.now() + 60_000).toISOString() })
    await rig.client.until(namespace, 'mail', { expired: 1, succeeded: 1, dead: 0 })
    expect(rig.receiver.requests(pathOf(namespace, 'mail')).map((request) => request.json())).toMatchObject([
      { data: 'new' },
    ])
  })

  it("has its own retries and timeoutMs instead of the queue's", async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 3, timeoutMs: 30_000 }])
    rig.receiver.script(pathOf(namespace, 'mail'), { kind: 'hang' })
    const id = await rig.client.enqueue(namespace, 'mail', { retries: 1, timeoutMs: 100 })
    await rig.client.until(namespace, 'mail', { dead: 1 })
    const requests = rig.receiver.requests(pathOf(namespace, 'mail'))
    expect(
      requests.map(({ headers }) => [headers['x-attempt'], headers['x-max-attempts'], headers['x-deadline-ms']]),
    ).toEqual([
      ['1', '2', '100'],
      ['2', '2', '100'],
    ])
    expect(await rig.client.deadLetters(namespace)).toMatchObject([{ id, reason: 'timeout', attempts: 2 }])
  })
})

describe('an idempotency key', () => {
  it('gives the first id again with 200, and 409 for another body, from the body and from the header alike', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const send = (body: object, headers: Record<string, string> = {}) =>
      rig.client.call<{ id: string; code: string }>('POST', '/jobs', {
        body: { namespace, queue: 'mail', ...body },
        headers,
      })
    for (const [first, again, other] of [
      [
        send({ data: 1, idempotencyKey: 'k1' }),
        () => send({ data: 1, idempotencyKey: 'k1' }),
        () => send({ data: 2, idempotencyKey: 'k1' }),
      ],
      [
        send({ data: 1 }, { 'idempotency-key': '"k2"' }),
        () => send({ data: 1 }, { 'idempotency-key': 'k2' }),
        () => send({ data: 2 }, { 'idempotency-key': 'k2' }),
      ],
    ] as const) {
      const { status, body } = await first
      expect(status).toBe(202)
      const replay = await again()
      expect(replay).toMatchObject({ status: 200, body: { id: body.id } })
      expect(replay.headers.get('idempotency-replayed')).toBe('true')
      expect(await other()).toMatchObject({ status: 409, body: { code: 'idempotency.conflict' } })
    }
    await rig.client.until(namespace, 'mail', { accepted: 2, succeeded: 2 })
  })

  it('makes one job of twenty requests at once', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const send = () => rig.client.enqueue(namespace, 'mail', { idempotencyKey: 'once' })
    const ids = await Promise.all(Array.from({ length: 20 }, send))
    expect(new Set(ids).size).toBe(1)
    await rig.client.until(namespace, 'mail', { accepted: 1, succeeded: 1 })
  })

  it('in header and body at once must be the same', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const reply = await rig.client.call('POST', '/jobs', {
      body: { namespace, queue: 'mail', data: 1, idempotencyKey: 'a' },
      headers: { 'idempotency-key': 'b' },
    })
    expect(reply).toMatchObject({ status: 422, body: { code: 'request.invalid' } })
  })
})

describe('POST /jobs/batch', () => {
  it('answers each job by itself, and keeps each payload byte for byte', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const job = (rest: string) => `{"namespace":"${namespace}","queue":"mail",${rest}}`
    const text = `{"jobs":[${job('"data":9007199254740993')}, ${job('"data":1,"idempotencyKey":"k"')}, ${job('"data":1,"idempotencyKey":"k"')},
      ${job('"data":2,"idempotencyKey":"k"')}, ${job('"dta":1')}, {"namespace":"nobody","queue":"mail","data":1},
      ${job('"data":1').replace('"mail"', '"nope"')}, 7]}`
    const { status, body } = await rig.client.call<{
      results: { status: number; id?: string; problem?: { code: string } }[]
    }>('POST', '/jobs/batch', { text })
    expect(status).toBe(200)
    expect(body.results.map((result) => [result.status, result.problem?.code])).toEqual([
      [202, undefined],
      [202, undefined],
      [200, undefined],
      [409, 'idempotency.conflict'],
      [422, 'request.invalid'],
      [404, 'service.unknown'],
      [404, 'queue.unknown'],
      [422, 'request.invalid'],
    ])
    expect(body.results[2]?.id).toBe(body.results[1]?.id)
    const requests = await rig.receiver.waitFor(pathOf(namespace, 'mail'), 2)
    expect(requests.some((request) => request.body.includes('"data":9007199254740993}'))).toBe(true)
  })

  it('takes a thousand jobs and delivers each once', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 50 }])
    const jobs = Array.from({ length: 1000 }, (_, data) => ({ namespace, queue: 'mail', data }))
    const { body } = await rig.client.call<{ results: { id: string }[] }>('POST', '/jobs/batch', { body: { jobs } })
    expect(new Set(body.results.map(({ id }) => id)).size).toBe(1000)
    await rig.client.until(namespace, 'mail', { succeeded: 1000 })
    const sent = rig.receiver.requests(pathOf(namespace, 'mail')).map((request) => request.headers['webhook-id'])
    expect(new Set(sent).size).toBe(sent.length)
    expect(sent).toHaveLength(1000)
    expect((await rig.client.call('POST', '/jobs/batch', { body: { jobs: [...jobs, jobs[0]] } })).status).toBe(422)
  })
})

describe('an idle queue', () => {
  it('delivers as soon as a job comes, without waiting for a sweep', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const startedAt = performance.now()
    for (let n = 1; n <= 20; n++) {
      await rig.client.enqueue(namespace, 'mail')
      await rig.client.until(namespace, 'mail', { succeeded: n })
    }
    // The sweeps come every second or two; twenty waits for one would take half a minute, and a busy machine takes three seconds.
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })
})

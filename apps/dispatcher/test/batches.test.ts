import type { ReceivedRequest } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answering, batchQueue, type Delivered, idsOf, jobsOf } from './batch-fixture.ts'
import { eventsOf, expectBalance, metricOf, type Rig, startRig, typesOf } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

describe('a queue with batches', () => {
  it('sends a full batch at once, and the rest when its first job has waited', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 4, maxWaitMs: 200 })
    rig.receiver.script(path, answering())
    const ids = await enqueueAll([1, 2, 3, 4, 5, 6])
    await rig.client.until(namespace, 'mail', { succeeded: 6, running: 0 })
    const requests = rig.receiver.requests(path)
    expect(requests.map(idsOf)).toEqual([ids.slice(0, 4), ids.slice(4)])
    expect(requests[0]?.headers).toMatchObject({
      'x-batch-size': '4',
      'x-deadline-ms': '30000',
      'webhook-id': expect.stringMatching(/^batch_/),
    })
    expect(requests[0]?.headers['idempotency-key']).toBeUndefined()
    expect(requests[0]?.headers['webhook-id']).not.toBe(requests[1]?.headers['webhook-id'])
    expect(await metricOf(rig.client, 'millrace_delivery_batch_jobs_sum', { namespace })).toBe(6)
    expect(await metricOf(rig.client, 'millrace_delivery_batch_jobs_count', { namespace })).toBe(2)
  })

  it('settles each job by its own result: attempts, backoff, dead letter, result and events are its own', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 4, maxWaitMs: 300 }, { retries: 1 })
    rig.receiver.script(
      path,
      answering(({ data }) => {
        if (data === 'fine') return { result: { said: 'done' } }
        if (data === 'flaky') return { status: 500, error: 'busy' }
        if (data === 'never') return { status: 422, noRetry: true, error: 'no such account' }
        return undefined
      }),
      answering(),
    )
    const [fine, flaky, never, omitted] = (await enqueueAll(['fine', 'flaky', 'never', 'omitted'])) as [
      string,
      string,
      string,
      string,
    ]
    await rig.client.until(namespace, 'mail', { succeeded: 3, dead: 1, running: 0 })
    const [first, second] = rig.receiver.requests(path) as [ReceivedRequest, ReceivedRequest]
    expect(idsOf(first)).toEqual([fine, flaky, never, omitted])
    expect(
      jobsOf(second)
        .map(({ jobId, attempt, epoch }) => [jobId, attempt, epoch])
        .toSorted(),
    ).toEqual(
      [
        [flaky, 2, 2],
        [omitted, 2, 2],
      ].toSorted(),
    )
    expect(new Set([...jobsOf(first), ...jobsOf(second)].map(({ token }) => token)).size, 'a token each').toBe(6)
    expect(await typesOf(rig.redis, fine)).toEqual(['job.enqueued', 'job.started', 'job.succeeded'])
    const succeeded = (await eventsOf(rig.redis, fine)).at(-1)
    expect(JSON.parse(succeeded?.data ?? '')).toMatchObject({ status: 200, result: { said: 'done' } })
    const missed = (await eventsOf(rig.redis, omitted)).find(({ type }) => type === 'job.attempt_failed')
    expect(JSON.parse(missed?.data ?? '')).toMatchObject({ reason: 'no_result', attempt: 1 })
    const [letter] = await rig.client.deadLetters(namespace)
    expect(letter).toMatchObject({ id: never, reason: 'no_retry', attempts: 1, lastResponse: { status: 422 } })
    expect(JSON.parse(letter?.lastResponse?.body ?? '')).toMatchObject({ error: 'no such account' })
    await expectBalance(rig.client)
  })

  it('fails every job by the status of an answer that is none of 2xx, with the retry rules of each', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 2, maxWaitMs: 5000 }, { retries: 1 })
    rig.receiver.script(path, { status: 500 }, answering())
    const lasting = await rig.client.enqueue(namespace, 'mail', { data: 1 })
    const dying = await rig.client.enqueue(namespace, 'mail', { data: 2, retries: 0 })
    await rig.client.until(namespace, 'mail', { dead: 1, running: 1 })
    const [other] = await enqueueAll([3])
    await rig.client.until(namespace, 'mail', { succeeded: 2, dead: 1, running: 0 })
    expect((await rig.client.deadLetters(namespace)).map(({ id, reason }) => [id, reason])).toEqual([
      [dying, 'http_status'],
    ])
    const last = rig.receiver.requests(path).at(-1) as ReceivedRequest
    expect(new Set(idsOf(last)), 'the retry and the new job go together').toEqual(new Set([lasting, other]))
  })

  it('counts jobs against concurrency, never more in all its requests together', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 3, maxWaitMs: 0 }, { concurrency: 7 })
    let open = 0
    let highest = 0
    rig.receiver.script(path, async (request) => {
      open += jobsOf(request).length
      highest = Math.max(highest, open)
      await new Promise((resolve) => setImmediate(resolve))
      open -= jobsOf(request).length
      return answering()(request)
    })
    const ids = await enqueueAll(Array.from({ length: 200 }, (_, n) => n))
    await rig.client.until(namespace, 'mail', { succeeded: 200, running: 0 })
    expect(highest).toBeLessThanOrEqual(7)
    const delivered = rig.receiver.requests(path).flatMap(idsOf)
    expect(delivered.toSorted()).toEqual(ids.toSorted())
    expect(Math.max(...rig.receiver.requests(path).map((request) => idsOf(request).length))).toBe(3)
  })

  it('starts another request before the bytes of one grow beyond 4 MiB', async () => {
    const { namespace, path } = await batchQueue(rig, { maxSize: 20, maxWaitMs: 500 })
    rig.receiver.script(path, answering())
    const large = 'x'.repeat(250_000)
    await Promise.all(Array.from({ length: 20 }, () => rig.client.enqueue(namespace, 'mail', { data: large })))
    await rig.client.until(namespace, 'mail', { succeeded: 20, running: 0 })
    const sizes = rig.receiver.requests(path).map(({ body }) => Buffer.byteLength(body))
    expect(sizes.length).toBeGreaterThan(1)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4_194_304)
  })

  it('reads an answer whose results are larger than one result may be', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 20, maxWaitMs: 5000 })
    rig.receiver.script(
      path,
      answering(() => ({ result: 'y'.repeat(60_000) })),
    )
    const [id] = await enqueueAll(Array.from({ length: 20 }, (_, n) => n))
    await rig.client.until(namespace, 'mail', { succeeded: 20, running: 0 })
    const succeeded = (await eventsOf(rig.redis, id as string)).at(-1)
    expect(JSON.parse(succeeded?.data ?? '').result).toHaveLength(60_000)
  })

  it('hands single jobs to their worker under a lease', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 2, maxWaitMs: 5000 })
    rig.receiver.script(
      path,
      answering(({ data }) => (data === 'long' ? { status: 202, leaseSeconds: 60 } : {})),
    )
    const [long] = await enqueueAll(['long', 'short'])
    await rig.client.until(namespace, 'mail', { succeeded: 1, running: 1 })
    const { token } = jobsOf(rig.receiver.requests(path)[0] as ReceivedRequest)[0] as Delivered
    const { body } = await rig.client.call('POST', `/jobs/${long}/complete`, { body: { token, result: 7 } })
    expect(body).toEqual({ result: 'settled' })
    await rig.client.until(namespace, 'mail', { succeeded: 2, running: 0 })
  })

  it('keeps the order of each key where one job of a key runs at once', async () => {
    const { namespace, path } = await batchQueue(rig, { maxSize: 3, maxWaitMs: 50 }, { keyConcurrency: 1 })
    rig.receiver.script(path, answering())
    for (const data of [1, 2]) {
      for (const key of ['a', 'b', 'c']) await rig.client.enqueue(namespace, 'mail', { key, data: `${key}${data}` })
    }
    await rig.client.until(namespace, 'mail', { succeeded: 6, running: 0 })
    const seen = rig.receiver.requests(path).map((request) => jobsOf(request).map(({ data }) => String(data)))
    for (const batch of seen) expect(new Set(batch.map((data) => data[0])).size, 'one job of a key').toBe(batch.length)
    for (const key of ['a', 'b', 'c'])
      expect(seen.flat().filter((data) => data.startsWith(key))).toEqual([`${key}1`, `${key}2`])
  })

  it('refuses a job with a time limit of its own', async () => {
    const { namespace } = await batchQueue(rig, { maxSize: 2 })
    const { status, body } = await rig.client.call('POST', '/jobs', {
      body: { namespace, queue: 'mail', data: 1, timeoutMs: 5 },
    })
    expect(status).toBe(422)
    expect(body.errors).toEqual([
      { pointer: '/timeoutMs', detail: 'means nothing in "mail", whose batches have the timeoutMs of the queue' },
    ])
  })

  it('goes on with what it has when the next manifest has other batches', async () => {
    const { namespace, path } = await batchQueue(rig, { maxSize: 2, maxWaitMs: 60_000 })
    rig.receiver.script(path, answering())
    const waiting = await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { running: 1 })
    const { body } = await rig.client.call('PUT', `/services/${namespace}`, {
      body: {
        manifest: {
          metadata: { name: namespace },
          spec: { queues: [{ name: 'mail', endpoint: path, concurrency: 20, batch: { maxSize: 3, maxWaitMs: 0 } }] },
        },
      },
    })
    expect(body).toMatchObject({ result: 'changed' })
    const next = await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 2, running: 0 })
    expect(rig.receiver.requests(path).map(idsOf)).toEqual([[waiting], [next]])
  })
})

import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answering, batchQueue, gated, idsOf } from './batch-fixture.ts'
import { expectBalance, metricOf, type Rig, startRig, typesOf } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

describe('cancel in a queue with batches', () => {
  it('of a job that waits for others takes it out at once, and no request is made for nobody', async () => {
    const { namespace, path } = await batchQueue(rig, { maxSize: 2, maxWaitMs: 60_000 })
    rig.receiver.script(path, answering())
    const unwanted = await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { running: 1 })
    expect((await rig.client.call('POST', `/jobs/${unwanted}/cancel`, { body: {} })).status).toBe(202)
    await rig.client.until(namespace, 'mail', { cancelled: 1, running: 0 })
    const ids = [await rig.client.enqueue(namespace, 'mail'), await rig.client.enqueue(namespace, 'mail')]
    await rig.client.until(namespace, 'mail', { cancelled: 1, succeeded: 2, running: 0 })
    expect(rig.receiver.requests(path).map(idsOf)).toEqual([ids])
    await expectBalance(rig.client)
  })

  it('of a job under way leaves the others alone, and counts when the request has ended, whatever its result', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 2, maxWaitMs: 60_000 })
    const gate = gated(answering())
    rig.receiver.script(path, gate.behaviour)
    const [kept, unwanted] = (await enqueueAll([1, 2])) as [string, string]
    await rig.receiver.waitFor(path, 1)
    expect((await rig.client.call('POST', `/jobs/${unwanted}/cancel`, { body: {} })).status).toBe(202)
    expect(await rig.client.counts(namespace, 'mail')).toMatchObject({ running: 2, cancelled: 0 })
    gate.open()
    await rig.client.until(namespace, 'mail', { succeeded: 1, cancelled: 1, running: 0 })
    expect(rig.receiver.requests(path).map(({ aborted }) => aborted)).toEqual([false])
    expect((await typesOf(rig.redis, kept)).at(-1)).toBe('job.succeeded')
    expect((await typesOf(rig.redis, unwanted)).at(-1)).toBe('job.cancelled')
  })

  it('of all its jobs ends the request', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 2, maxWaitMs: 60_000 })
    rig.receiver.script(path, { kind: 'hang' })
    const ids = await enqueueAll([1, 2])
    const [request] = await rig.receiver.waitFor(path, 1)
    for (const id of ids) await rig.client.call('POST', `/jobs/${id}/cancel`, { body: {} })
    await rig.client.until(namespace, 'mail', { cancelled: 2, running: 0 })
    await eventually(() => request?.aborted)
  })
})

describe('the circuit breaker of a queue with batches', () => {
  it('counts requests: a batch that finds nobody is one refusal, however many jobs it has', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 10, maxWaitMs: 5000 }, { retries: 0 })
    // Ten jobs in one request would open the circuit after five refusals of a connection, were they counted.
    await rig.receiver.close()
    await enqueueAll(Array.from({ length: 10 }, (_, n) => n))
    await rig.client.until(namespace, 'mail', { dead: 10, running: 0 })
    expect(await metricOf(rig.client, 'millrace_circuit_open', { namespace })).toBeUndefined()
    await rig.receiver.reopen()
    rig.receiver.script(path, answering())
    await enqueueAll(Array.from({ length: 10 }, (_, n) => n))
    await rig.client.until(namespace, 'mail', { dead: 10, succeeded: 10, running: 0 })
  })

  it('probes with one batch', async () => {
    const { namespace, path, enqueueAll } = await batchQueue(rig, { maxSize: 5, maxWaitMs: 100 }, { retries: 30 })
    await rig.receiver.close()
    await enqueueAll(Array.from({ length: 20 }, (_, n) => n))
    await eventually(async () => {
      const { client } = rig
      for (let n = 0; n < 5; n++) await client.enqueue(namespace, 'mail')
      return (await metricOf(client, 'millrace_circuit_open', { namespace })) === 1
    })
    const gate = gated(answering())
    rig.receiver.script(path, gate.behaviour, answering())
    const before = rig.receiver.requests(path).length
    await rig.receiver.reopen()
    const [, ...more] = await rig.receiver.waitFor(path, before + 1)
    expect(more).toEqual([])
    gate.open()
    await rig.client.until(namespace, 'mail', { waiting: 0, scheduled: 0, running: 0, dead: 0 })
    await expectBalance(rig.client)
  })
})

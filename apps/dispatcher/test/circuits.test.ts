import { createPartitions, readLogRange } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { expectBalance, metricOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  // Some requests hang until the end.
  rig = await startRig({ env: { MILLRACE_DRAIN_MS: '200' } })
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

/** What the log says of circuits in a namespace. */
async function transitionsOf(namespace: string) {
  const client = rig.redis.client()
  const events = await readLogRange(createPartitions(client, 1).of(''), { count: 100_000 })
  client.disconnect()
  return events
    .filter((event) => event.namespace === namespace && event.type.startsWith('breaker.'))
    .map(({ type, queue, data }) => ({ type, queue, scope: JSON.parse(data).scope as string }))
}

describe('a circuit', () => {
  it('that opens and closes says so with an event and a metric each time', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 5, retries: 9, retryDelayMs: 10 }])
    const path = pathOf(namespace, 'mail')
    const isOpen = () => metricOf(rig.client, 'millrace_circuit_open', { namespace, scope: 'endpoint' })
    rig.receiver.script(path, { status: 503 })
    for (let n = 0; n < 20; n++) await rig.client.enqueue(namespace, 'mail', { data: n })
    await eventually(async () => (await isOpen()) === 1)
    expect(await transitionsOf(namespace)).toEqual([{ type: 'breaker.opened', queue: 'mail', scope: 'endpoint' }])

    rig.receiver.script(path, {})
    await rig.client.until(namespace, 'mail', { succeeded: 20, dead: 0 })
    await eventually(async () => (await isOpen()) === 0)
    expect((await transitionsOf(namespace)).map(({ type }) => type)).toEqual(['breaker.opened', 'breaker.closed'])
  })

  it('of an endpoint that is dead, or silent, is not noticed by fifty healthy queues', async () => {
    const queues = Array.from({ length: 50 }, (_, index) => ({ name: `q${index}` }))
    const healthy = await rig.service(queues)
    const dead = await rig.service([{ name: 'mail', concurrency: 50, retries: 0 }], 'http://127.0.0.1:1')
    const silent = await rig.service([{ name: 'mail', concurrency: 50, timeoutMs: 600_000 }])
    rig.receiver.script(pathOf(silent, 'mail'), { kind: 'hang' })
    const fill = (namespace: string) =>
      rig.client.call('POST', '/jobs/batch', {
        body: { jobs: Array.from({ length: 200 }, (_, data) => ({ namespace, queue: 'mail', data })) },
      })
    await Promise.all([fill(dead), fill(silent)])
    await rig.client.until(silent, 'mail', { running: 50 })
    await eventually(async () => (await metricOf(rig.client, 'millrace_circuit_open', { namespace: dead })) === 1)

    const jobs = queues.flatMap(({ name }) => [1, 2, 3].map((data) => ({ namespace: healthy, queue: name, data })))
    await rig.client.call('POST', '/jobs/batch', { body: { jobs } })
    for (const { name } of queues) {
      const requests = await rig.receiver.waitFor(pathOf(healthy, name), 3)
      expect(requests.map(({ headers }) => headers['x-attempt'])).toEqual(['1', '1', '1'])
    }
    expect((await rig.client.counts(silent, 'mail')).running, 'which is silent all the while').toBe(50)
    const { waiting, dead: burnt } = await rig.client.counts(dead, 'mail')
    expect(waiting, 'the circuit kept these').toBeGreaterThan(100)
    expect(burnt).toBeLessThan(100)
    for (const namespace of [dead, silent])
      await rig.client.call('POST', `/queues/${namespace}/mail/pause`, { body: {} })
  })
})

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { claim, createPartitions, enqueue, lease, openQueues, takeOver } from '@millrace/streams'
import { eventually, startRedis } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createSender } from '../src/delivery/sender.ts'
import {
  dispatcherOn,
  expectBalance,
  manifestOf,
  metricOf,
  OPEN_TARGETS,
  pathOf,
  type Rig,
  startRig,
} from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

const post = <Body = Record<string, unknown>>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', path, { body })
const finished = (namespace: string, outcome: string) =>
  metricOf(rig.client, 'millrace_jobs_finished_total', { namespace, outcome })

describe('millrace_jobs_finished_total', () => {
  it.each([
    ['complete', {}, 'succeeded'],
    ['fail', { retry: false }, 'dead'],
  ])('counts what a worker under a lease says with %s', async (word, body, outcome) => {
    const namespace = await rig.service([{ name: 'video' }])
    rig.receiver.script(pathOf(namespace, 'video'), { status: 202, headers: { 'x-job-lease': '60' } })
    const id = await rig.client.enqueue(namespace, 'video')
    const [request] = await rig.receiver.waitFor(pathOf(namespace, 'video'), 1)
    const token = request?.headers['x-job-token']
    await eventually(async () => (await post(`/jobs/${id}/${word}`, { token, ...body })).status === 200)
    expect(await finished(namespace, outcome)).toBe(1)
  })

  it('counts what is cancelled, purged or expired before it was started', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    await post(`/queues/${namespace}/mail/pause`)
    const id = await rig.client.enqueue(namespace, 'mail')
    await post(`/jobs/${id}/cancel`)
    expect(await finished(namespace, 'cancelled')).toBe(1)
    for (let n = 0; n < 2; n++) await rig.client.enqueue(namespace, 'mail')
    const { body } = await post<{ token: string }>(`/queues/${namespace}/mail/purge`)
    await post(`/queues/${namespace}/mail/purge`, { token: body.token })
    expect(await finished(namespace, 'cancelled')).toBe(3)
    await rig.client.enqueue(namespace, 'mail', { expiresAt: new Date(Date.now() + 1).toISOString() })
    await post(`/queues/${namespace}/mail/resume`)
    await rig.client.until(namespace, 'mail', { expired: 1 })
    await eventually(async () => (await finished(namespace, 'expired')) === 1)
  })

  it('counts a job that took down its holders', async () => {
    const redis = await startRedis()
    const partition = createPartitions(redis.client(), 1).all[0]!
    const address = 'shop/mail'
    await openQueues(partition, [{ address }])
    await enqueue(partition, [{ address, lane: 'normal', data: '1' }])
    for (const consumer of ['first', 'second', 'third']) {
      await lease(partition, { action: 'join', consumer, ttlMs: 60_000 })
      if (consumer === 'first') await claim(partition, { consumer, address, concurrency: 1, want: 1 })
      else expect(await takeOver(partition, { consumer, limit: 1 })).toHaveLength(1)
      await lease(partition, { action: 'leave', consumer })
    }
    const { dispatcher, client } = await dispatcherOn(redis.url)
    await eventually(
      async () => (await metricOf(client, 'millrace_jobs_finished_total', { queue: 'mail', outcome: 'dead' })) === 1,
    )
    await dispatcher.stop()
    await redis.stop()
  })
})

it('a closed queue leaves no series behind', async () => {
  const namespace = await rig.service([{ name: 'mail' }])
  await rig.client.enqueue(namespace, 'mail')
  await rig.client.until(namespace, 'mail', { succeeded: 1 })
  const series = async () => {
    const text = await (await fetch(`${rig.client.url}/metrics`)).text()
    return text.split('\n').filter((line) => line.includes(`namespace="${namespace}"`))
  }
  await eventually(async () => (await series()).some((line) => line.startsWith('millrace_queue_jobs')))
  await rig.client.call('PUT', `/services/${namespace}`, {
    body: { manifest: manifestOf(namespace, []), url: rig.receiver.url },
  })
  await eventually(async () => (await series()).length === 0, { timeoutMs: 20_000, what: 'the series to go' })
})

it('connections to an origin that no service has are closed, what is under way there ends first', async () => {
  const answers: (() => void)[] = []
  const server = createServer((_request, response) => answers.push(() => response.end('{}')))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const connections = () => new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)))
  const sender = createSender()
  const ranges = OPEN_TARGETS.of('shop')
  const answer = new Promise((resolve) =>
    sender.send({ origin, ranges, path: '/', lines: '', body: '{}', timeoutMs: 30_000 }, resolve),
  )
  await eventually(async () => answers.length === 1)
  sender.keepOnly([{ origin, ranges }])
  sender.keepOnly([{ origin: 'http://127.0.0.1:1', ranges }])
  expect(await connections()).toBe(1)
  answers[0]?.()
  expect(await answer).toMatchObject({ kind: 'response', status: 200 })
  await eventually(async () => (await connections()) === 0)
  await sender.close()
  server.close()
})

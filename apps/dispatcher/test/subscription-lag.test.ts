import { createPartitions, readLogRange } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterEach, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { metricOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
afterEach(() => rig.stop())

const metricsOf = (namespace: string) => {
  const labels = { namespace, queue: 'subscription:mail' }
  return async () => {
    const names = ['undelivered_events', 'unread_events', 'behind', 'oldest_undelivered_timestamp_seconds']
    return Promise.all(names.map((name) => metricOf(rig.client, `millrace_subscription_${name}`, labels)))
  }
}
const until = (metrics: () => Promise<unknown[]>, expected: unknown[]) =>
  eventually(async () => {
    expect(await metrics()).toEqual(expected)
    return true
  })

describe('how far a subscription is behind', () => {
  it('is a number from its beginning, and exact while most of its events are in the log', async () => {
    rig = await startRig({ env: { MILLRACE_SUBSCRIPTION_WAITING: '2', MILLRACE_DRAIN_MS: '500' } })
    const mail = { name: 'mail', types: ['lag.sent'], filters: [{ prefix: { subject: 'mine/' } }], keyConcurrency: 1 }
    await subscribeTo(rig.client, 'lag', { subscriptions: [mail], url: rig.receiver.url })
    const metrics = metricsOf('lag')
    await until(metrics, [0, 0, 0, 0])

    expect((await rig.client.call('POST', '/queues/lag/subscription:mail/pause', { body: {} })).status).toBe(200)
    const before = Math.floor(Date.now() / 1000) - 1
    for (const number of [1, 2, 3, 4, 5, 6]) {
      await publish(rig.client, 'lag.sent', { data: number, subject: 'mine/one' })
      await publish(rig.client, 'lag.sent', { data: number, subject: 'others/one' })
      await publish(rig.client, 'lag.received', { data: number, subject: 'mine/one' })
    }
    const oldest = expect.toSatisfy((value: number) => value >= before)
    await until(metrics, [2, 4, 1, oldest])
    expect(await metricOf(rig.client, 'millrace_router_lag_entries', { partition: 'p0' })).toBe(0)

    // Another filter is another count.
    await subscribeTo(rig.client, 'lag', {
      subscriptions: [{ ...mail, filters: [] }],
      url: rig.receiver.url,
    })
    await until(metrics, [2, expect.toSatisfy((value: number) => value >= 8), 1, oldest])

    await rig.client.call('POST', '/queues/lag/subscription:mail/resume', { body: {} })
    await until(metrics, [0, 0, 0, 0])
    expect(dataAt(rig.receiver, eventsPath('lag', 'mail')).at(-1)).toBe(6)
  })

  it('says nothing is unread where nobody subscribes any more', async () => {
    rig = await startRig()
    const lag = () => metricOf(rig.client, 'millrace_router_lag_entries', { partition: 'p0' })
    await eventually(async () => (await lag()) === 0)
    const subscriptions = [{ name: 'mail', types: ['gone.sent'] }]
    await subscribeTo(rig.client, 'gone', { subscriptions, url: rig.receiver.url })
    await publish(rig.client, 'gone.sent', { data: 1 })
    await rig.receiver.waitFor(eventsPath('gone', 'mail'), 1)
    await subscribeTo(rig.client, 'gone', { subscriptions: [], url: rig.receiver.url })
    for (const data of [1, 2, 3]) await publish(rig.client, 'gone.sent', { data })
    await eventually(async () => {
      expect(await lag()).toBe(0)
      return true
    })
  })
})

describe('a log that takes more memory than it may', () => {
  it('takes the slowest subscription ahead, with a fact and a metric that say so', async () => {
    const env = {
      MILLRACE_SUBSCRIPTION_WAITING: '1',
      MILLRACE_EVENT_RETENTION_BYTES: '60000',
      MILLRACE_DRAIN_MS: '500',
    }
    rig = await startRig({ env })
    await subscribeTo(rig.client, 'heavy', {
      subscriptions: [{ name: 'mail', types: ['heavy.sent'] }],
      url: rig.receiver.url,
    })
    await rig.client.call('POST', '/queues/heavy/subscription:mail/pause', { body: {} })
    const labels = { namespace: 'heavy', queue: 'subscription:mail' }
    const lost = async () => (await metricOf(rig.client, 'millrace_subscription_lost_events_total', labels)) ?? 0
    for (let number = 0; number < 20; number++) await publish(rig.client, 'heavy.sent', { data: 'x'.repeat(1000) })
    await until(metricsOf('heavy'), [1, 19, 1, expect.any(Number)])
    expect(await lost(), 'below its memory a log keeps what it must').toBe(0)
    await eventually(async () => {
      await publish(rig.client, 'heavy.sent', { data: 'x'.repeat(2000) })
      return (await lost()) > 0
    })
    const client = rig.redis.client()
    const events = await readLogRange(createPartitions(client, 1).of(''), { count: 10_000 })
    client.disconnect()
    expect(events.filter(({ type }) => type === 'subscription.lost_events')[0]).toMatchObject({
      namespace: 'heavy',
      queue: 'subscription:mail',
      data: expect.stringContaining('"partition":0'),
    })
  })
})

import { createPartitions, readLogRange } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { metricOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({
    env: { MILLRACE_SUBSCRIPTION_WAITING: '2', MILLRACE_EVENT_RETENTION_MS: '3000', MILLRACE_DRAIN_MS: '500' },
  })
})
afterAll(() => rig.stop())

describe('a subscription that never gets on', () => {
  it('shows how far it is behind, and loses old events only with a fact and a metric that say so', async () => {
    const path = eventsPath('stuck', 'mail')
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(path, () => gate.promise.then(() => ({})))
    await subscribeTo(rig.client, 'stuck', {
      subscriptions: [{ name: 'mail', types: ['stuck.sent'], keyConcurrency: 1 }],
      url: rig.receiver.url,
    })
    const labels = { namespace: 'stuck', queue: 'subscription:mail' }
    const metric = (name: string) => metricOf(rig.client, `millrace_subscription_${name}`, labels)
    for (const data of [1, 2, 3, 4, 5, 6]) await publish(rig.client, 'stuck.sent', { data })
    await eventually(async () => {
      expect(await metric('behind')).toBe(1)
      expect(await metric('undelivered_events')).toBeGreaterThanOrEqual(2)
      expect(await metric('oldest_undelivered_timestamp_seconds')).toBeGreaterThan(0)
      return true
    })
    await eventually(async () => ((await metric('lost_events_total')) ?? 0) > 0)
    const client = rig.redis.client()
    const events = await readLogRange(createPartitions(client, 1).of(''), { count: 10_000 })
    client.disconnect()
    expect(events.filter(({ type }) => type === 'subscription.lost_events')).toEqual([
      expect.objectContaining({ namespace: 'stuck', queue: 'subscription:mail', entityId: 'queue/subscription:mail' }),
    ])
    gate.resolve()
    await publish(rig.client, 'stuck.sent', { data: 'last' })
    await eventually(() => dataAt(rig.receiver, path).includes('last'))
    expect(dataAt(rig.receiver, path)).not.toContain(6)
    await eventually(async () => {
      expect(await metric('behind')).toBe(0)
      expect(await metric('oldest_undelivered_timestamp_seconds')).toBe(0)
      return true
    })
  })
})

import { createPartitions, readLogRange, trimLog } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { dataAt, eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { metricOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

it('tells a subscription that begins before the log what it does not get, where there is no audit app', async () => {
  const types = ['lost.sent']
  const url = rig.receiver.url
  await subscribeTo(rig.client, 'first', { subscriptions: [{ name: 'all', types }], url })
  for (let n = 0; n < 300; n++) await publish(rig.client, 'lost.sent', { data: n })
  const partition = createPartitions(rig.redis.client(), 1).of('')
  await eventually(async () => (await trimLog(partition, { keep: 0 })) > 0, { what: 'something to be trimmed' })
  await subscribeTo(rig.client, 'late', { subscriptions: [{ name: 'all', types, startFrom: 'earliest' }], url })
  await publish(rig.client, 'lost.sent', { data: 'last' })
  const path = eventsPath('late', 'all')
  await eventually(() => dataAt(rig.receiver, path).includes('last'))
  expect(dataAt(rig.receiver, path)).not.toContain(0)
  const told = (await readLogRange(partition, { count: 10_000 })).filter(
    ({ type }) => type === 'subscription.lost_events',
  )
  expect(told).toMatchObject([{ namespace: 'late', queue: 'subscription:all' }])
  expect(JSON.parse(told[0]!.data)).toMatchObject({ partition: 0, from: '0-0' })
  const labels = { namespace: 'late', queue: 'subscription:all' }
  expect(await metricOf(rig.client, 'millrace_subscription_lost_events_total', labels)).toBe(1)
})

import type { Partition } from '@millrace/streams'
import {
  type ChildHandle,
  eventually,
  freePort,
  type Receiver,
  type RedisServer,
  startProcess,
  startReceiver,
  startRedis,
} from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Client,
  declare,
  eventsOf,
  ledgerOf,
  makeDue,
  metricOf,
  nextOf,
  partitionOf,
  pathOf,
  schedulerOn,
} from './fixture.ts'

let redis: RedisServer
let receiver: Receiver
let dispatcher: ChildHandle
let partition: Partition
let schedulers: Awaited<ReturnType<typeof schedulerOn>>[]
let client: Client
beforeAll(async () => {
  redis = await startRedis()
  receiver = await startReceiver()
  partition = partitionOf(redis)
  dispatcher = await startProcess({
    file: new URL('../../dispatcher/src/main.ts', import.meta.url),
    env: { REDIS_URL: redis.url, MILLRACE_DISPATCHER_PORT: String(await freePort()) },
    readyWhen: /dispatcher\.ready/,
  })
  schedulers = await Promise.all([1, 2, 3].map(() => schedulerOn(redis.url)))
  client = schedulers[0]!.client
})
afterAll(async () => {
  await Promise.all(schedulers.map(({ scheduler }) => scheduler.stop()))
  await dispatcher.stop()
  await receiver.stop()
  await redis.stop()
})

const nightly = { name: 'nightly', cron: '0 2 * * *', timezone: 'Europe/Berlin', retryDelayMs: 20 }
const everyMinute = { name: 'often', cron: '* * * * *' }

async function planned(namespace: string, schedule: { name: string; cron: string }): Promise<string> {
  await declare(redis, namespace, [schedule], receiver.url)
  const address = `${namespace}/schedule:${schedule.name}`
  await eventually(async () => (await nextOf(partition, address)) > 0)
  return address
}

describe('a due tick', () => {
  it('fires once over three schedulers, each nominal time', async () => {
    const address = await planned('once', nightly)
    const path = pathOf('once', 'nightly')
    const nominals = [5000, 4000, 3000, 2000].map((agoMs) => Date.now() - agoMs)
    for (const [index, nominal] of nominals.entries()) {
      await makeDue(partition, address, nominal)
      await receiver.waitFor(path, index + 1)
    }
    const fired = await eventsOf(partition, 'schedule.fired', 'once')
    expect(fired.map((event) => (JSON.parse(event.data) as { scheduledAt: string }).scheduledAt)).toEqual(
      nominals.map((nominal) => new Date(nominal).toISOString()),
    )
    expect(receiver.requests(path)).toHaveLength(4)
    expect(await nextOf(partition, address)).toBeGreaterThan(Date.now())
    const counted = await Promise.all(
      schedulers.map(
        async (each) => (await metricOf(each.client, 'millrace_schedule_ticks_total', { namespace: 'once' })) ?? 0,
      ),
    )
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(4)
  })

  it('is delivered with the tick as its body and the three headers', async () => {
    const address = await planned('wire', nightly)
    const nominal = Date.now() - 1000
    receiver.script(pathOf('wire', 'nightly'), { status: 500 }, {})
    await makeDue(partition, address, nominal)
    const [first, second] = await receiver.waitFor(pathOf('wire', 'nightly'), 2)
    const scheduledAt = new Date(nominal).toISOString()
    expect(first?.json()).toEqual({
      schedule: 'nightly',
      cron: '0 2 * * *',
      timezone: 'Europe/Berlin',
      scheduledAt,
      firedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      tickId: `wire/nightly@${scheduledAt}`,
      attempt: 1,
    })
    expect(first?.headers).toMatchObject({
      'x-schedule-name': 'nightly',
      'x-cron-expression': '0 2 * * *',
      'x-fired-at': (first!.json() as { firedAt: string }).firedAt,
      'x-attempt': '1',
    })
    expect(second?.json()).toEqual({ ...(first?.json() as object), attempt: 2 })
    expect(second?.headers['x-fired-at']).toBe(first?.headers['x-fired-at'])
  })

  it('does not fire before its nominal time', async () => {
    const address = await planned('timely', nightly)
    const nominal = Date.now() + 1200
    await makeDue(partition, address, nominal)
    const [request] = await receiver.waitFor(pathOf('timely', 'nightly'), 1)
    expect(request!.at).toBeGreaterThanOrEqual(nominal)
    expect(await eventsOf(partition, 'schedule.fired', 'timely')).toHaveLength(1)
  })
})

describe('times that were missed', () => {
  it('are recorded and the latest fires when it is not too old', async () => {
    const address = await planned('behind', everyMinute)
    const minute = Math.floor(Date.now() / 60_000) * 60_000
    await makeDue(partition, address, minute - 5 * 60_000)
    const [request] = await receiver.waitFor(pathOf('behind', 'often'), 1)
    // The minute may have turned while the test looked.
    const latest = Date.parse((request!.json() as { scheduledAt: string }).scheduledAt)
    expect([minute, minute + 60_000]).toContain(latest)
    const [missed] = await eventsOf(partition, 'schedule.missed', 'behind')
    expect(JSON.parse(missed?.data ?? '')).toEqual({
      count: 5 + (latest - minute) / 60_000,
      reason: 'take',
      from: new Date(minute - 5 * 60_000).toISOString(),
      to: new Date(latest - 60_000).toISOString(),
    })
    expect(await eventsOf(partition, 'schedule.fired', 'behind')).toHaveLength(1)
  })

  it('are only recorded when all of them are too old', async () => {
    const sixHoursOn = new Date(Date.now() + 6 * 3_600_000)
    const daily = { name: 'daily', cron: `${sixHoursOn.getUTCMinutes()} ${sixHoursOn.getUTCHours()} * * *` }
    const address = await planned('toolate', daily)
    const next = await nextOf(partition, address)
    await makeDue(partition, address, next - 3 * 86_400_000)
    const skipped = await eventually(async () => (await eventsOf(partition, 'schedule.skipped', 'toolate'))[0])
    expect(JSON.parse(skipped.data)).toMatchObject({ count: 3, reason: 'window' })
    expect(await ledgerOf(partition, address)).toMatchObject(Array(3).fill({ state: 'skipped', reason: 'window' }))
    expect(await nextOf(partition, address)).toBe(next)
    expect(await eventsOf(partition, 'schedule.fired', 'toolate')).toEqual([])
    expect(receiver.requests(pathOf('toolate', 'daily'))).toEqual([])
  })
})

describe('run now', () => {
  const trigger = (path: string, options: Parameters<Client['call']>[2] = { body: {} }) =>
    client.call<{ id: string; tickId: string; code: string }>('POST', `/schedules/${path}/trigger`, options)

  it('fires besides the plan, each time with a name of its own, and carries the trace', async () => {
    const address = await planned('byhand', nightly)
    const next = await nextOf(partition, address)
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const first = await trigger('byhand/nightly', { body: { who: 'ada', why: 'test' }, headers: { traceparent } })
    const second = await trigger('byhand/nightly')
    expect([first.status, second.status]).toEqual([202, 202])
    expect(first.body.tickId).not.toBe(second.body.tickId)
    const requests = await receiver.waitFor(pathOf('byhand', 'nightly'), 2)
    const run = requests.find((request) => request.headers['webhook-id'] === first.body.id)
    expect(run?.headers).toMatchObject({ traceparent, 'x-schedule-name': 'nightly', 'x-cron-expression': '0 2 * * *' })
    expect(run?.json()).toMatchObject({ tickId: first.body.tickId, attempt: 1 })
    expect(await nextOf(partition, address)).toBe(next)
    const [event] = await eventsOf(partition, 'schedule.triggered', 'byhand')
    expect(JSON.parse(event?.data ?? '')).toMatchObject({ who: 'ada', why: 'test' })
    expect(await metricOf(client, 'millrace_schedule_ticks_total', { namespace: 'byhand', result: 'triggered' })).toBe(
      2,
    )
  })

  it('refuses what is not there', async () => {
    await planned('refusing', nightly)
    expect(await trigger('nobody/nightly')).toMatchObject({ status: 404, body: { code: 'service.unknown' } })
    expect(await trigger('refusing/hourly')).toMatchObject({
      status: 404,
      body: { code: 'schedule.unknown', detail: expect.stringContaining('nightly') },
    })
    expect(await trigger('refusing/nightly', { body: { whom: 'x' } })).toMatchObject({
      status: 422,
      body: { code: 'request.invalid', errors: [{ pointer: '/whom' }] },
    })
    expect(receiver.requests(pathOf('refusing', 'nightly'))).toEqual([])
  })
})

describe('GET /__scheduled', () => {
  it('fires every schedule that has the cron, and says when none has', async () => {
    await planned('local-a', { name: 'a', cron: '7 7 7 7 *' })
    await planned('local-b', { name: 'b', cron: '7 7 7 7 *' })
    const query = `?cron=${encodeURIComponent('7 7 7 7 *')}`
    const { status, body } = await client.call<{ fired: { id: string }[] }>('GET', `/__scheduled${query}`)
    expect(status).toBe(202)
    expect(body.fired).toHaveLength(2)
    await receiver.waitFor(pathOf('local-a', 'a'), 1)
    await receiver.waitFor(pathOf('local-b', 'b'), 1)
    expect(await client.call('GET', '/__scheduled?cron=1')).toMatchObject({
      status: 404,
      body: { code: 'schedule.unknown' },
    })
  })

  it('is not there in production', async () => {
    const production = await schedulerOn(redis.url, { MILLRACE_ENV: 'production' })
    const reply = await production.client.call('GET', '/__scheduled?cron=x')
    expect(reply).toMatchObject({ status: 404, body: { code: 'request.not_found' } })
    await production.scheduler.stop()
  })
})

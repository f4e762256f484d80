import { eventually } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { type Client, declare, eventsOf, ledgerOf, makeDue, metricOf, nextOf, pathOf, schedulerOn } from './fixture.ts'
import { useRig } from './rig.ts'

const rig = useRig({ schedulers: 3 })
const { planned } = rig

const nightly = { name: 'nightly', cron: '0 2 * * *', timezone: 'Europe/Berlin', retryDelayMs: 20 }
const everyMinute = { name: 'often', cron: '* * * * *' }

describe('a due tick', () => {
  it('fires once over three rig.schedulers, each nominal time', async () => {
    const address = await planned('once', nightly)
    const path = pathOf('once', 'nightly')
    const nominals = [5000, 4000, 3000, 2000].map((agoMs) => Date.now() - agoMs)
    for (const [index, nominal] of nominals.entries()) {
      await makeDue(rig.partition, address, nominal)
      await rig.receiver.waitFor(path, index + 1)
    }
    const fired = await eventsOf(rig.partition, 'schedule.fired', 'once')
    expect(fired.map((event) => (JSON.parse(event.data) as { scheduledAt: string }).scheduledAt)).toEqual(
      nominals.map((nominal) => new Date(nominal).toISOString()),
    )
    expect(rig.receiver.requests(path)).toHaveLength(4)
    expect(await nextOf(rig.partition, address)).toBeGreaterThan(Date.now())
    const counted = async () => {
      const fired = { namespace: 'once', result: 'fired' }
      const all = rig.schedulers.map((each) => metricOf(each.client, 'millrace_schedule_ticks_total', fired))
      return (await Promise.all(all)).reduce((sum: number, count) => sum + (count ?? 0), 0)
    }
    await eventually(async () => (await counted()) >= 4)
    expect(await counted()).toBe(4)
  })

  it('is delivered with the tick as its body and the three headers', async () => {
    const address = await planned('wire', nightly)
    const nominal = Date.now() - 1000
    rig.receiver.script(pathOf('wire', 'nightly'), { status: 500 }, {})
    await makeDue(rig.partition, address, nominal)
    const [first, second] = await rig.receiver.waitFor(pathOf('wire', 'nightly'), 2)
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
    await makeDue(rig.partition, address, nominal)
    const [request] = await rig.receiver.waitFor(pathOf('timely', 'nightly'), 1)
    expect(request!.at).toBeGreaterThanOrEqual(nominal)
    expect(await eventsOf(rig.partition, 'schedule.fired', 'timely')).toHaveLength(1)
  })
})

describe('times that were missed', () => {
  it('are recorded and the latest fires when it is not too old', async () => {
    const address = await planned('behind', everyMinute)
    const minute = Math.floor(Date.now() / 60_000) * 60_000
    await makeDue(rig.partition, address, minute - 5 * 60_000)
    const [request] = await rig.receiver.waitFor(pathOf('behind', 'often'), 1)
    // The minute may have turned while the test looked.
    const latest = Date.parse((request!.json() as { scheduledAt: string }).scheduledAt)
    expect([minute, minute + 60_000]).toContain(latest)
    const [missed] = await eventsOf(rig.partition, 'schedule.missed', 'behind')
    expect(JSON.parse(missed?.data ?? '')).toEqual({
      count: 5 + (latest - minute) / 60_000,
      reason: 'take',
      from: new Date(minute - 5 * 60_000).toISOString(),
      to: new Date(latest - 60_000).toISOString(),
    })
    expect(await eventsOf(rig.partition, 'schedule.fired', 'behind')).toHaveLength(1)
  })

  it('are only recorded when all of them are too old', async () => {
    const sixHoursOn = new Date(Date.now() + 6 * 3_600_000)
    const daily = { name: 'daily', cron: `${sixHoursOn.getUTCMinutes()} ${sixHoursOn.getUTCHours()} * * *` }
    const address = await planned('toolate', daily)
    const next = await nextOf(rig.partition, address)
    await makeDue(rig.partition, address, next - 3 * 86_400_000)
    const skipped = await eventually(async () => (await eventsOf(rig.partition, 'schedule.skipped', 'toolate'))[0])
    expect(JSON.parse(skipped.data)).toMatchObject({ count: 3, reason: 'window' })
    expect(await ledgerOf(rig.partition, address)).toMatchObject(Array(3).fill({ state: 'skipped', reason: 'window' }))
    expect(await nextOf(rig.partition, address)).toBe(next)
    expect(await eventsOf(rig.partition, 'schedule.fired', 'toolate')).toEqual([])
    expect(rig.receiver.requests(pathOf('toolate', 'daily'))).toEqual([])
  })
})

describe('run now', () => {
  const trigger = (path: string, options: Parameters<Client['call']>[2] = { body: {} }) =>
    rig.client.call<{ id: string; tickId: string; code: string }>('POST', `/schedules/${path}/trigger`, options)

  it('fires besides the plan, each time with a name of its own, and carries the trace', async () => {
    const address = await planned('byhand', nightly)
    const next = await nextOf(rig.partition, address)
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const first = await trigger('byhand/nightly', { body: { who: 'ada', why: 'test' }, headers: { traceparent } })
    const second = await trigger('byhand/nightly')
    expect([first.status, second.status]).toEqual([202, 202])
    expect(first.body.tickId).not.toBe(second.body.tickId)
    const requests = await rig.receiver.waitFor(pathOf('byhand', 'nightly'), 2)
    const run = requests.find((request) => request.headers['webhook-id'] === first.body.id)
    expect(run?.headers).toMatchObject({ traceparent, 'x-schedule-name': 'nightly', 'x-cron-expression': '0 2 * * *' })
    expect(run?.json()).toMatchObject({ tickId: first.body.tickId, attempt: 1 })
    expect(await nextOf(rig.partition, address)).toBe(next)
    const [event] = await eventsOf(rig.partition, 'schedule.triggered', 'byhand')
    expect(JSON.parse(event?.data ?? '')).toMatchObject({ who: 'ada', why: 'test' })
    expect(
      await metricOf(rig.client, 'millrace_schedule_ticks_total', { namespace: 'byhand', result: 'triggered' }),
    ).toBe(2)
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
    expect(rig.receiver.requests(pathOf('refusing', 'nightly'))).toEqual([])
  })
})

describe('a tick outside production', () => {
  it.each(['sandbox', 'development'])('costs nothing in %s, and its row says so', async (environment) => {
    const address = await planned(`free-${environment}`, nightly)
    // All of them run in this environment: whichever fires, the tick is free.
    const other = await schedulerOn(rig.redis.url, { MILLRACE_ENV: environment })
    await makeDue(rig.partition, address, Date.now() - 50)
    const [row] = await eventually(async () => {
      const rows = await ledgerOf(rig.partition, address)
      return rows[0]?.outcome ? rows : undefined
    })
    expect(row).toMatchObject({ outcome: 'succeeded', gas: 0 })
    expect(await eventsOf(rig.partition, 'gas.charged', `free-${environment}`)).toEqual([])
    await other.scheduler.stop()
  })
})

describe('an expression that is edited again and again while its times are due', () => {
  it('fires the old plan at most once more, and each nominal time has one row', async () => {
    const address = await planned('edited', nightly)
    const nominals: number[] = []
    for (let round = 0; round < 6; round++) {
      const nominal = Date.now() - 500 - round
      nominals.push(nominal)
      await Promise.all([
        makeDue(rig.partition, address, nominal),
        declare(rig.redis, 'edited', [{ ...nightly, cron: `${round} 3 * * *` }], rig.receiver.url),
      ])
      await eventually(async () => (await nextOf(rig.partition, address)) > Date.now())
      await eventually(async () => {
        const plan = JSON.parse((await rig.partition.redis.hget(rig.partition.keys.schedules, address)) ?? '{}')
        return JSON.stringify(plan.rule).includes(`${round} 3 * * *`)
      })
    }
    const fired = await eventsOf(rig.partition, 'schedule.fired', 'edited')
    const times = fired.map(({ data }) => Date.parse((JSON.parse(data) as { scheduledAt: string }).scheduledAt))
    expect(times, 'none fires twice').toEqual([...new Set(times)])
    expect(times.every((time) => nominals.includes(time))).toBe(true)
    const rows = (await ledgerOf(rig.partition, address)).map(({ atMs }) => atMs)
    expect(rows.toSorted()).toEqual([...new Set(rows)].toSorted())
  })
})

describe('the row of a tick', () => {
  const filedAt = (address: string, nominal: number) =>
    eventually(async () => {
      const { redis, keys } = rig.partition
      return (await redis.zscore(keys.ledger(address), new Date(nominal).toISOString())) === String(nominal)
    })

  it('is filed behind it, though its run goes on and nobody looks', async () => {
    const address = await planned('filed', nightly)
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    rig.receiver.script(pathOf('filed', 'nightly'), () => ended.then(() => ({ status: 200 })))
    const nominal = Date.now() - 1000
    await makeDue(rig.partition, address, nominal)
    await rig.receiver.waitFor(pathOf('filed', 'nightly'), 1)
    await filedAt(address, nominal)
    expect(await rig.partition.redis.hlen(rig.partition.keys.ledgerFresh)).toBe(0)
    end()
  })

  it('is filed by the next scheduler, where one died between the two', async () => {
    const address = await planned('left', nightly)
    await rig.stopSchedulers()
    const { redis, keys } = rig.partition
    const nominal = Date.now() - 1000
    const row = JSON.stringify({ atMs: nominal, kind: 'planned', state: 'fired', lateMs: 0, jobId: 'job_1' })
    await redis.hset(keys.ledgerFresh, address, `${new Date(nominal).toISOString()} job_1 ${nominal} ${row}`)
    await rig.startSchedulers()
    await filedAt(address, nominal)
    expect(await ledgerOf(rig.partition, address)).toMatchObject([{ atMs: nominal, jobId: 'job_1' }])
  })
})

describe('GET /__scheduled', () => {
  it('fires every schedule that has the cron, and says when none has', async () => {
    await planned('local-a', { name: 'a', cron: '7 7 7 7 *' })
    await planned('local-b', { name: 'b', cron: ' 7 7  7 7 *' })
    const query = `?cron=${encodeURIComponent('7 7 7  7 *')}`
    const { status, body } = await rig.client.call<{ fired: { id: string }[] }>('GET', `/__scheduled${query}`)
    expect(status).toBe(202)
    expect(body.fired).toHaveLength(2)
    await rig.receiver.waitFor(pathOf('local-a', 'a'), 1)
    await rig.receiver.waitFor(pathOf('local-b', 'b'), 1)
    expect(await rig.client.call('GET', '/__scheduled?cron=1')).toMatchObject({
      status: 404,
      body: { code: 'schedule.unknown' },
    })
  })

  it('is not there in production', async () => {
    const production = await schedulerOn(rig.redis.url, { MILLRACE_ENV: 'production' })
    const reply = await production.client.call('GET', '/__scheduled?cron=x')
    expect(reply).toMatchObject({ status: 404, body: { code: 'request.not_found' } })
    await production.scheduler.stop()
  })
})

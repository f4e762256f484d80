import type { Partition } from '@millrace/streams'
import { eventually, type RedisServer, startProcess, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  countOf,
  declare,
  eventsOf,
  MAIN,
  makeDue,
  metricOf,
  nextOf,
  partitionOf,
  schedulerOn,
  startSchedulerProcess,
} from './fixture.ts'

let redis: RedisServer
let partition: Partition
beforeAll(async () => {
  redis = await startRedis({ appendonly: true, appendfsync: 'always' })
  partition = partitionOf(redis)
})
afterAll(() => redis.stop())

const tickIdsOf = async (namespace: string) =>
  (await eventsOf(partition, 'schedule.fired', namespace)).map(
    (event) => (JSON.parse(event.data) as { tickId: string }).tickId,
  )

describe('a scheduler that is killed', () => {
  it('leaves each nominal time fired once, by itself, by another, or by the next one', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `s${index}`)
    await declare(
      redis,
      'crash',
      names.map((name) => ({ name, cron: '0 2 * * *' })),
    )
    const [first, second] = await Promise.all([startSchedulerProcess(redis.url), startSchedulerProcess(redis.url)])
    const addresses = names.map((name) => `crash/schedule:${name}`)
    await eventually(async () => (await Promise.all(addresses.map((each) => nextOf(partition, each)))).every(Boolean))
    const due = async () => {
      const nominal = Date.now() - 1000
      await Promise.all(addresses.map((address) => makeDue(partition, address, nominal)))
      return names.map((name) => `crash/${name}@${new Date(nominal).toISOString()}`)
    }

    const expected = await due()
    await eventually(async () => (await tickIdsOf('crash')).length > 0)
    await first.process.kill()
    await eventually(async () => (await tickIdsOf('crash')).length === 40)
    await second.process.kill()
    expected.push(...(await due()))
    const third = await startSchedulerProcess(redis.url)
    await eventually(async () => (await tickIdsOf('crash')).length >= 80)
    expect(await third.process.stop()).toEqual({ code: 0, signal: null })
    expect((await tickIdsOf('crash')).sort()).toEqual(expected.sort())
  })
})

describe('while Redis is away', () => {
  it('the scheduler says so, refuses runs by hand, catches up afterwards, and can be stopped at any time', async () => {
    await declare(redis, 'away', [{ name: 'nightly', cron: '0 2 * * *' }])
    const { scheduler, client } = await schedulerOn(redis.url)
    await eventually(async () => (await nextOf(partition, 'away/schedule:nightly')) > 0)
    await makeDue(partition, 'away/schedule:nightly', Date.now() + 1500)
    await redis.kill()
    await eventually(async () => (await client.call('GET', '/readyz')).status === 503)
    const refused = await client.call('POST', '/schedules/away/nightly/trigger', { body: {} })
    expect(refused).toMatchObject({ status: 503, body: { code: 'store.unavailable' } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)

    await redis.restart()
    await eventually(async () => (await client.call('GET', '/readyz')).status === 200)
    await eventually(async () => (await tickIdsOf('away')).length === 1)
    expect(await countOf(client, 'millrace_schedule_delay_seconds_count', { namespace: 'away' })).toBe(1)

    await redis.kill()
    await eventually(async () => (await client.call('GET', '/readyz')).status === 503)
    const askedAt = performance.now()
    await scheduler.stop()
    expect(performance.now() - askedAt).toBeLessThan(3000)
    await redis.restart()
  })
})

describe('a scheduler', () => {
  it('lists its routes and measures its ticks', async () => {
    await declare(redis, 'measured', [{ name: 'nightly', cron: '0 2 * * *' }])
    const { scheduler, client } = await schedulerOn(redis.url)
    await eventually(async () => (await nextOf(partition, 'measured/schedule:nightly')) > 0)
    await makeDue(partition, 'measured/schedule:nightly', Date.now() - 3000)
    const labels = { namespace: 'measured', schedule: 'nightly' }
    await eventually(
      async () => (await metricOf(client, 'millrace_schedule_ticks_total', { ...labels, result: 'fired' })) === 1,
    )
    const late = (await metricOf(client, 'millrace_schedule_delay_seconds_sum', labels)) ?? 0
    expect(late).toBeGreaterThanOrEqual(3)
    expect(late).toBeLessThan(10)
    const next = (await metricOf(client, 'millrace_schedule_next_fire_timestamp_seconds', labels)) ?? 0
    expect(next).toBeGreaterThan(Date.now() / 1000)
    const { body } = await client.call<{ paths: Record<string, unknown> }>('GET', '/openapi.json')
    expect(Object.keys(body.paths).sort()).toEqual([
      '/__scheduled',
      '/schedules',
      '/schedules/preview',
      '/schedules/{namespace}/{name}/backfills',
      '/schedules/{namespace}/{name}/backfills/{id}',
      '/schedules/{namespace}/{name}/backfills/{id}/stop',
      '/schedules/{namespace}/{name}/ledger',
      '/schedules/{namespace}/{name}/pause',
      '/schedules/{namespace}/{name}/resume',
      '/schedules/{namespace}/{name}/trigger',
    ])
    await scheduler.stop()
  })

  it('whose port is taken names the variable and exits 1', async () => {
    const { scheduler } = await schedulerOn(redis.url)
    const port = String(scheduler.port)
    const child = await startProcess({ file: MAIN, env: { REDIS_URL: redis.url, MILLRACE_SCHEDULER_PORT: port } })
    expect((await child.exited).code).toBe(1)
    expect(child.output()).toContain(`MILLRACE_SCHEDULER_PORT`)
    expect(child.output()).not.toMatch(/\n\s+at /)
    await scheduler.stop()
  })
})

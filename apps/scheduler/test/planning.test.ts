import { nextNominalTime } from '@millrace/engine'
import { closeQueue, type Partition } from '@millrace/streams'
import { eventually, type RedisServer, startRedis } from '@millrace/testkit'
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
  schedulerOn,
} from './fixture.ts'

let redis: RedisServer
let partition: Partition
let running: Awaited<ReturnType<typeof schedulerOn>>
let client: Client
beforeAll(async () => {
  redis = await startRedis()
  partition = partitionOf(redis)
  running = await schedulerOn(redis.url)
  client = running.client
})
afterAll(async () => {
  await running.scheduler.stop()
  await redis.stop()
})

interface View {
  readonly namespace: string
  readonly name: string
  readonly nextAt?: string
}

const schedulesOf = async (namespace: string) => {
  const { body } = await client.call<{ schedules: View[] }>('GET', '/schedules')
  return body.schedules.filter((schedule) => schedule.namespace === namespace)
}
const planned = (address: string) =>
  eventually(async () => (await nextOf(partition, address)) || undefined, { what: `${address} to be planned` })

describe('a declared schedule', () => {
  it('is planned at its next nominal time, in its time zone, and listed', async () => {
    const rule = { cron: '30 2 * * *', timezone: 'America/Denver' }
    await declare(redis, 'plan', [{ name: 'nightly', description: 'at night', ...rule }])
    const next = await planned('plan/schedule:nightly')
    expect(next).toBe(nextNominalTime(rule, Date.now()))
    expect(await schedulesOf('plan')).toEqual([
      {
        namespace: 'plan',
        name: 'nightly',
        ...rule,
        endpoint: '/internal/cron/plan/nightly',
        description: 'at night',
        reading: 'at 02:30, America/Denver',
        overlap: 'allow',
        nextAt: new Date(next).toISOString(),
        tzdata: process.versions.tz,
      },
    ])
    const nextAt = 'millrace_schedule_next_fire_timestamp_seconds'
    await eventually(async () => (await metricOf(client, nextAt, { namespace: 'plan' })) === next / 1000)
  })

  it('keeps its next time when the same is applied again, or another schedule beside it', async () => {
    const nightly = { name: 'nightly', cron: '0 2 * * *' }
    await declare(redis, 'keep', [nightly])
    await planned('keep/schedule:nightly')
    // A time that no planning would come to, so that any planning anew shows.
    const kept = Date.now() + 12_345_678
    await makeDue(partition, 'keep/schedule:nightly', kept)
    await declare(redis, 'keep', [nightly])
    await declare(redis, 'keep', [
      { ...nightly, timeoutMs: 99 },
      { name: 'hourly', cron: '0 * * * *' },
    ])
    await planned('keep/schedule:hourly')
    expect(await nextOf(partition, 'keep/schedule:nightly')).toBe(kept)

    await declare(redis, 'keep', [{ ...nightly, cron: '0 3 * * *' }])
    const next = nextNominalTime({ cron: '0 3 * * *', timezone: 'UTC' }, Date.now())
    await eventually(async () => (await nextOf(partition, 'keep/schedule:nightly')) === next)
  })

  it('is forgotten when it is no longer declared, and planned anew when it comes back', async () => {
    await declare(redis, 'gone', [{ name: 'nightly', cron: '0 2 * * *' }])
    await planned('gone/schedule:nightly')
    await declare(redis, 'gone', [])
    await eventually(async () => (await nextOf(partition, 'gone/schedule:nightly')) === 0)
    expect(await schedulesOf('gone')).toEqual([])
    expect(await partition.redis.hexists(partition.keys.schedules, 'gone/schedule:nightly')).toBe(0)
    expect(await eventsOf(partition, 'schedule.removed', 'gone')).toHaveLength(1)
    const kept = await client.call('GET', '/schedules/gone/nightly/ledger')
    expect(kept, 'nothing was ever in it').toMatchObject({ status: 404, body: { code: 'schedule.unknown' } })
    await declare(redis, 'gone', [{ name: 'nightly', cron: '0 2 * * *' }])
    await planned('gone/schedule:nightly')
  })

  it('is planned once by many schedulers', async () => {
    const others = await Promise.all([schedulerOn(redis.url), schedulerOn(redis.url)])
    await declare(redis, 'many', [{ name: 'nightly', cron: '0 2 * * *' }])
    await planned('many/schedule:nightly')
    for (const other of others) {
      await eventually(async () => (await other.client.call('GET', '/readyz')).status === 200)
      await other.scheduler.stop()
    }
    expect(await eventsOf(partition, 'schedule.planned', 'many')).toHaveLength(1)
  })

  it('that can never fire is listed without a next time', async () => {
    await declare(redis, 'never', [{ name: 'leap', cron: '0 0 31 2 *' }])
    await eventually(async () => (await eventsOf(partition, 'schedule.planned', 'never')).length === 1)
    expect(await schedulesOf('never')).toMatchObject([{ name: 'leap' }])
    expect((await schedulesOf('never'))[0]).not.toHaveProperty('nextAt')
  })

  it('whose queue was closed while nobody looked has it opened again, and fires', async () => {
    await declare(redis, 'reopened', [{ name: 'nightly', cron: '0 2 * * *' }])
    const address = 'reopened/schedule:nightly'
    await planned(address)
    expect(await closeQueue(partition, address)).toBe('closed')
    await makeDue(partition, address, Date.now())
    await eventually(async () => (await ledgerOf(partition, address)).length === 1, { timeoutMs: 15_000 })
  })
})

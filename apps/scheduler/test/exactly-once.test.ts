import { nextNominalTime } from '@millrace/engine'
import type { LedgerRow, Partition } from '@millrace/streams'
import { type ChildHandle, eventually, type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { declare, eventsOf, ledgerOf, partitionOf, startSchedulerProcess } from './fixture.ts'

let redis: RedisServer
let partition: Partition
beforeAll(async () => {
  redis = await startRedis({ appendonly: true, appendfsync: 'always' })
  partition = partitionOf(redis)
})
afterAll(() => redis.stop())

/** Numbers in [0, 1) that are the same in each run, so that a failure can be had again. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const REPLICAS = 3
const KILLS = 8
const rule = { cron: '@every 1s', timezone: 'UTC' }

it('three schedulers that are killed at random leave each second exactly once in the ledger', async () => {
  const random = seeded(4)
  const names = ['a', 'b', 'c', 'd']
  const catchUp = { window: '10m', take: 'all', max: 1000 }
  await declare(
    redis,
    'once',
    names.map((name) => ({ name, cron: rule.cron, catchUp })),
  )
  const schedulers: ChildHandle[] = await Promise.all(
    Array.from({ length: REPLICAS }, async () => (await startSchedulerProcess(redis.url)).process),
  )
  const fired = async () => (await eventsOf(partition, 'schedule.fired', 'once')).length
  for (let kill = 0; kill < KILLS; kill++) {
    // After so many more ticks, which may be amid those of one second.
    const until = (await fired()) + 1 + Math.floor(random() * 6)
    await eventually(async () => (await fired()) >= until, { timeoutMs: 60_000 })
    const victim = Math.floor(random() * REPLICAS)
    await schedulers[victim]!.kill()
    schedulers[victim] = (await startSchedulerProcess(redis.url)).process
  }
  const until = (await fired()) + 3 * names.length
  await eventually(async () => (await fired()) >= until, { timeoutMs: 60_000 })
  await Promise.all(schedulers.map((scheduler) => scheduler.stop()))

  for (const name of names) {
    const address = `once/schedule:${name}`
    const rows = await ledgerOf(partition, address)
    const times = rows.map(({ atMs }) => atMs)
    expect(times.length).toBeGreaterThan(KILLS)
    expect(times, 'each second from the first to the last').toEqual(secondsFrom(times[0] as number, times.length))
    expect(rows.filter(({ state }) => state !== 'fired' && state !== 'late')).toEqual([])
    expect(new Set(rows.map(({ jobId }) => jobId)).size, 'one job each').toBe(rows.length)
    await expectOneJobEach(address, rows)
  }
}, 300_000)

function secondsFrom(first: number, count: number): number[] {
  const times = [first]
  while (times.length < count) times.push(nextNominalTime(rule, times.at(-1) as number) as number)
  return times
}

/** The queue holds one job for each row, and the log has one event for each. */
async function expectOneJobEach(address: string, rows: readonly LedgerRow[]): Promise<void> {
  const lane = await partition.redis.llen(partition.keys.lane(address, 'normal'))
  expect(lane).toBe(rows.length)
  const events = (await eventsOf(partition, 'schedule.fired', 'once')).filter(({ queue }) => address.endsWith(queue))
  const ticks = events.map(({ data }) => (JSON.parse(data) as { tickId: string }).tickId)
  expect(ticks.sort()).toEqual(rows.map(({ tickId }) => tickId as string).sort())
}

import { beforeEach, describe, expect, it } from 'vitest'
import { findJob, lease, moveDue, raise, readCounts, settle, settleLeased, takeOver } from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'
import { done } from './prefetch-fixture.ts'

const bench = useBench({ consumer: 'one' })
const lane = (name: string) => bench.partition.keys.lane(ADDRESS, name)
const lanes = ['high', 'normal', 'low'] as const
const counts = async () => (await readCounts(bench.partition, [ADDRESS]))[0]
const inHand = () => bench.partition.redis.hkeys(bench.partition.keys.inHand(ADDRESS))
const policy = { retries: 0, retryDelayMs: 1, backoff: { type: 'fixed', factor: 1, maxDelayMs: 1, jitter: 0 } } as const

/** Lanes as they were before layout 3: each has a group, and what is claimed stays in them, pending. */
beforeEach(async () => {
  for (const name of lanes) await bench.partition.redis.xgroup('CREATE', lane(name), 'dispatch', '0', 'MKSTREAM')
})
async function claimAsBefore(consumer: string, name: (typeof lanes)[number], count: number): Promise<string[]> {
  const { redis } = bench.partition
  const from = ['STREAMS', lane(name), '>'] as const
  const [[, entries]] = (await redis.xreadgroup('GROUP', 'dispatch', consumer, 'COUNT', count, ...from)) as [
    [string, [string, string[]][]],
  ]
  return entries.map(([id]) => id)
}
const toWorker = (entry: string) =>
  bench.partition.redis.xclaim(lane('normal'), 'dispatch', '@leased', 0, entry, 'JUSTID')

describe('a partition that an earlier version has left', () => {
  it('has what ran in hand and what waited in its lanes, once, however often it is raised', async () => {
    const ids = await bench.add(1, 2, 3)
    const urgent = await bench.addWith({ lane: 'high', data: '4', meta: { expiresAtMs: Date.now() + 60_000 } })
    await claimAsBefore('one', 'normal', 2)
    await claimAsBefore('one', 'high', 1)
    await bench.partition.redis.sadd('{p0}:robbed', 'one')

    expect([await raise(bench.partition), await raise(bench.partition)]).toEqual([3, 0])
    expect(await counts()).toMatchObject({ running: 3, waiting: 1 })
    for (const id of [urgent, ids[0], ids[1]]) {
      expect(await findJob(bench.partition, id ?? '')).toMatchObject({ state: 'running', consumer: 'one' })
    }
    expect((await bench.take('one')).map(({ id }) => id)).toEqual([ids[2]])
    for (const name of lanes) {
      expect(await bench.partition.redis.xinfo('GROUPS', lane(name)), name).toEqual([])
      expect(await bench.partition.redis.xlen(lane(name)), name).toBe(0)
    }
    expect(await bench.partition.redis.exists('{p0}:robbed')).toBe(0)
  })

  it('has what a dispatcher left taken over with the epochs that it had, and buried when that happened too often', async () => {
    const [once = '', often = ''] = await bench.add(1, 2)
    const [first = '', second = ''] = await claimAsBefore('gone', 'normal', 2)
    await bench.partition.redis.xclaim(lane('normal'), 'dispatch', 'gone', 0, second)
    await bench.partition.redis.xclaim(lane('normal'), 'dispatch', 'gone', 0, second)
    expect(await raise(bench.partition)).toBe(2)
    expect(await inHand()).toEqual([`${first} normal gone`, `${second} normal gone`])

    await bench.partition.redis.zadd(bench.partition.keys.consumers, '0', 'gone')
    const ended: string[] = []
    const taken = await takeOver(bench.partition, { consumer: 'one', limit: 10, onEnded: ({ id }) => ended.push(id) })
    expect(taken.map(({ id, attempt, epoch, data }) => [id, attempt, epoch, data])).toEqual([[once, 1, 2, '1']])
    expect(ended).toEqual([often])
    const attempts = taken.map((job) => ({ job, settlement: done }))
    expect(await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts })).toEqual(['settled'])
    expect(await counts()).toMatchObject({ succeeded: 1, dead: 1, running: 0 })
  })

  it('has the jobs that workers hold end by their word, and be taken over without one', async () => {
    const [kept = '', silent = ''] = await bench.add(1, 2)
    const entries = await claimAsBefore('one', 'normal', 2)
    const { redis } = bench.partition
    for (const [index, id] of [kept, silent].entries()) {
      const entry = entries[index] ?? ''
      await toWorker(entry)
      const record = {
        address: ADDRESS,
        lane: 'normal',
        entry,
        attempt: 1,
        epoch: 1,
        token: 't',
        policy: JSON.stringify(policy),
      }
      await redis.hset('{p0}:leased', id, JSON.stringify(record))
      await redis.zadd('{p0}:due', id === silent ? 1 : Date.now() + 60_000, `lease:${id}`)
    }
    expect(await raise(bench.partition)).toBe(2)
    const leased = { address: ADDRESS, attempt: 1, epoch: 1, policy }
    const word = { kind: 'succeeded' } as const
    expect(await settleLeased(bench.partition, { id: kept, token: 't', leased, word })).toBe('settled')
    await moveDue(bench.partition, { limit: 10 })
    const [job] = await takeOver(bench.partition, { consumer: 'one', limit: 10 })
    expect(job).toMatchObject({ id: silent, epoch: 2 })
    expect(await counts()).toMatchObject({ succeeded: 1, running: 1 })
  })

  it('has the prefetched jobs of a dispatcher as that', async () => {
    await bench.add(1, 2, 3)
    await claimAsBefore('one', 'normal', 3)
    await bench.partition.redis.hset(`{p0}:prefetched:${ADDRESS}`, 'one', 2)
    expect(await raise(bench.partition)).toBe(3)
    expect(await counts()).toMatchObject({ running: 1, waiting: 2 })
    await lease(bench.partition, { action: 'leave', consumer: 'one' })
    await bench.join('two')
    const taken = await takeOver(bench.partition, { consumer: 'two', limit: 10 })
    expect(taken.map(({ prefetched }) => prefetched)).toEqual([false, true, true])
  })
})

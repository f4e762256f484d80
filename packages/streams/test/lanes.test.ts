import { describe, expect, it } from 'vitest'
import { digitsOf } from '../src/digits.ts'
import {
  cancel,
  claim,
  closeQueue,
  enqueue,
  findJob,
  moveDue,
  openQueues,
  pause,
  purge,
  readCounts,
  requestPurge,
  type Settlement,
  settle,
} from '../src/index.ts'
import { ADDRESS, inLane, useBench } from './fixture.ts'
import { done } from './prefetch-fixture.ts'

const bench = useBench({ consumer: 'one' })
const by = { who: 'ann' }
const counts = async () => (await readCounts(bench.partition, [ADDRESS]))[0]
const cancelAll = async (ids: readonly string[]) => {
  for (const id of ids) expect(await cancel(bench.partition, { id, by })).toMatchObject({ kind: 'cancelled' })
}
const numbered = (count: number) => Array.from({ length: count }, (_, n) => n)

describe('jobs that are cancelled in the middle of a lane', () => {
  it('are no longer there for anybody, wherever they stood', async () => {
    const ids = await bench.add(...numbered(200))
    const isCancelled = (n: number) => n < 3 || (n > 40 && n < 95) || n % 7 === 0 || n === 199
    await cancelAll(ids.filter((_, n) => isCancelled(n)).toReversed())
    const left = ids.filter((_, n) => !isCancelled(n))
    expect(await counts()).toMatchObject({ waiting: left.length, cancelled: 200 - left.length })
    for (const [n, id] of ids.entries()) {
      const found = await findJob(bench.partition, id)
      expect(found, `job ${n}`).toEqual(
        isCancelled(n) ? undefined : expect.objectContaining({ state: 'waiting', ahead: left.indexOf(id) }),
      )
    }
    expect(await cancel(bench.partition, { id: ids[50] ?? '', by })).toMatchObject({ kind: 'unknown' })

    const taken: string[] = []
    while (taken.length < left.length) {
      const jobs = await bench.take('one', { want: 30, concurrency: 1000 })
      expect(jobs.length, `after ${taken.length}`).toBeGreaterThan(0)
      taken.push(...jobs.map(({ id }) => id))
    }
    expect(taken).toEqual(left)
    expect(await counts()).toMatchObject({ waiting: 0, running: left.length })
    expect(await bench.partition.redis.hget(bench.partition.keys.counts(ADDRESS), 'gone')).toBe('0')
  })

  it('leave nothing behind that would keep a queue from closing, or be its oldest job', async () => {
    const ids = await bench.add(...numbered(30))
    await pause(bench.partition, { action: 'pause', address: ADDRESS, by: { who: 'ann', at: '' } })
    await cancelAll([...ids.slice(5, 25), ...ids.slice(25), ...ids.slice(0, 4)])
    expect(await counts()).toMatchObject({ waiting: 1, oldestWaitingMs: Number.parseInt(ids[4]!.slice(4, 15), 16) })
    expect((await inLane(bench.partition))[0]).toMatchObject({ data: '4' })
    await cancelAll(ids.slice(4, 5))
    expect(await counts()).toMatchObject({ waiting: 0, running: 0 })
    expect((await counts())?.oldestWaitingMs).toBeUndefined()
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('closed')
    await openQueues(bench.partition, [{ address: ADDRESS }])
    await bench.add('again')
    expect(await counts()).toMatchObject({ waiting: 1 })
  })

  it('are passed over by a purge, which counts what it removes', async () => {
    const ids = await bench.add(...numbered(60))
    await cancelAll([...ids.slice(10, 45), ...ids.slice(58)])
    const asked = { address: ADDRESS, token: 't', by }
    expect(await requestPurge(bench.partition, asked)).toEqual({ waiting: 23, scheduled: 0 })
    const [later] = await bench.add('later')
    expect(await purge(bench.partition, asked)).toBe(23)
    expect(await counts()).toMatchObject({ waiting: 1, cancelled: 60 })
    expect((await bench.take('one')).map(({ id }) => id)).toEqual([later])
  })

  it('are not prefetched, and do not count as waiting for others', async () => {
    const ids = await bench.add(...numbered(8))
    await cancelAll(ids.slice(2, 7))
    const call = { consumer: 'one', address: ADDRESS, concurrency: 1, want: 1, prefetch: 5, underWay: 0 }
    const claimed = await claim(bench.partition, call)
    // Three wait: one starts, and twice the limit stays for others.
    expect(claimed).toMatchObject({ kind: 'claimed', starts: 1, jobs: [{ id: ids[0] }] })
  })
})

describe('the place of a job in its lane', () => {
  it('is a position of the log, so places rise whatever way a job came', async () => {
    const back: Settlement = { kind: 'postpone', delayMs: 0, reason: 'not_begun', durationMs: 0, lastResponse: {} }
    const { redis, keys } = bench.partition
    for (let round = 0; round < 3; round++) {
      await bench.add(1, 2, 3)
      await enqueue(bench.partition, [{ address: ADDRESS, lane: 'normal', data: '"due"', due: { inMs: 0 } }])
      const [job] = await bench.take('one', { want: 1 })
      await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts: [{ job: job!, settlement: back }] })
      await moveDue(bench.partition, { limit: 10 })
    }
    const places = (await redis.lrange(keys.lane(ADDRESS, 'normal'), 0, -1)).map((element) => element.slice(0, 16))
    expect(places).toHaveLength(12)
    expect(places).toEqual([...new Set(places)].toSorted())
    const moved = (await inLane(bench.partition)).filter(({ body }) => body !== '')
    expect(moved).toHaveLength(6)
    for (const { id } of await inLane(bench.partition))
      expect(await findJob(bench.partition, id), id).toMatchObject({ state: 'waiting' })
    const jobs = await bench.take('one', { want: 100 })
    expect(new Set(jobs.map(({ id }) => digitsOf(id))).size).toBe(12)
    const attempts = jobs.map((job) => ({ job, settlement: done }))
    expect(new Set(await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts }))).toEqual(
      new Set(['settled']),
    )
  })

  it("that is another job's now, as before layout 5 it could be, is not taken for its own", async () => {
    const [id = ''] = await bench.add('ended')
    const attempts = (await bench.take('one')).map((job) => ({ job, settlement: done }))
    await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts })
    const other = await bench.addWith({ data: '"moved"', due: { inMs: 60_000 } })
    const { redis, keys } = bench.partition
    const body = JSON.stringify({ job: other, attempt: 0, epoch: 0, meta: '' })
    await redis.rpush(keys.lane(ADDRESS, 'normal'), `${digitsOf(id)}@${body}\n"moved"`)
    expect(await findJob(bench.partition, id)).toBeUndefined()
    await redis.del(keys.lane(ADDRESS, 'normal'))
  })

  it('of what leaves the line of its key, is in the lane that the job was meant for', async () => {
    const limits = { keyConcurrency: 1, onDead: 'skip' } as const
    await bench.open(limits)
    const text = `"${'x'.repeat(1800)}"`
    const add = (lane: 'high' | 'low', data: string) => bench.addWith({ lane, data, meta: { key: 'k' } })
    const ids = [await add('low', text), await add('high', '2'), await add('low', '3')]
    const [first] = await bench.take('one')
    expect(first).toMatchObject({ id: ids[0], data: text, lane: 'normal' })
    expect(await bench.partition.redis.hkeys(bench.partition.keys.large(ADDRESS, 'normal'))).toEqual([
      digitsOf(ids[0] ?? ''),
    ])
    await openQueues(bench.partition, [{ address: ADDRESS }])
    const idsIn = async (lane: string) => (await inLane(bench.partition, ADDRESS, lane)).map(({ id }) => id)
    expect([await idsIn('high'), await idsIn('low')]).toEqual([[ids[1]], [ids[2]]])
    for (const id of ids.slice(1)) expect(await findJob(bench.partition, id)).toMatchObject({ state: 'waiting' })
  })
})

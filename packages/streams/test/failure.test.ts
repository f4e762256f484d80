import { eventually, type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  enqueue,
  hold,
  imbalance,
  isOutOfMemory,
  lease,
  listDeadLetters,
  readCounts,
  readLogRange,
  type Settlement,
  settle,
  takeOver,
} from '../src/index.ts'
import { ADDRESS, type Bench, prepare } from './fixture.ts'

let server: RedisServer
let bench: Bench
beforeAll(async () => {
  server = await startRedis({ appendonly: true, appendfsync: 'always' })
})
afterAll(() => server.stop())
beforeEach(async () => {
  bench = await prepare(server)
})

const succeeded: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
const types = async () => (await readLogRange(bench.partition)).map((event) => event.type)
const lapsed = async (consumer: string) => {
  const { redis, keys } = bench.partition
  const [[seconds, micros], end] = await Promise.all([redis.time(), redis.zscore(keys.consumers, consumer)])
  return Number(end) < Number(seconds) * 1000 + Number(micros) / 1000
}
const balanced = async () => expect(imbalance((await readCounts(bench.partition, [ADDRESS]))[0]!)).toBe(0)

describe('a dispatcher whose lease lapsed', () => {
  it('loses its jobs to another at the cost of no attempt, with a higher epoch', async () => {
    await bench.join('dying', 1)
    const [id] = await bench.add({ n: 1 })
    await lease(bench.partition, { action: 'join', consumer: 'dying', ttlMs: 300 })
    expect(await bench.take('dying')).toHaveLength(1)
    await bench.join('heir')
    const taken = await eventually(async () => {
      const jobs = await takeOver(bench.partition, { consumer: 'heir', limit: 10 })
      return jobs.length > 0 && jobs
    })
    expect(taken).toMatchObject([{ id, attempt: 1, epoch: 2, address: ADDRESS, data: '{"n":1}' }])
    expect(await bench.partition.redis.zrange(bench.partition.keys.consumers, '0', '-1')).toEqual(['heir'])
    await balanced()
  })

  it('settles nothing afterwards, and the log says that it was late', async () => {
    await bench.join('slow')
    await bench.add(1)
    const [job] = await bench.take('slow')
    await lease(bench.partition, { action: 'leave', consumer: 'slow' })
    const attempts = [{ job: job!, settlement: succeeded }]
    expect(await settle(bench.partition, { consumer: 'slow', address: ADDRESS, attempts })).toEqual(['late'])

    await bench.join('heir')
    const [taken] = await takeOver(bench.partition, { consumer: 'heir', limit: 10 })
    expect(await settle(bench.partition, { consumer: 'slow', address: ADDRESS, attempts })).toEqual(['late'])
    expect(
      await settle(bench.partition, {
        consumer: 'heir',
        address: ADDRESS,
        attempts: [{ job: taken!, settlement: succeeded }],
      }),
    ).toEqual(['settled'])
    expect(await types()).toEqual([
      'job.enqueued',
      'job.started',
      'job.late',
      'job.taken_over',
      'job.late',
      'job.succeeded',
    ])
    await balanced()
  })

  it('may settle late as well while nobody has taken over, and never afterwards', async () => {
    await bench.join('d1')
    await bench.add(1, 2)
    const [first, second] = await bench.take('d1')
    await bench.join('d1', 1)
    await eventually(async () => (await bench.take('d1')).length === 0 && (await lapsed('d1')))
    const settleOf = (job: typeof first) =>
      settle(bench.partition, {
        consumer: 'd1',
        address: ADDRESS,
        attempts: [{ job: job!, settlement: succeeded }],
      })
    expect(await settleOf(first)).toEqual(['settled'])
    await bench.join('heir')
    expect(await takeOver(bench.partition, { consumer: 'heir', limit: 10 })).toHaveLength(1)
    expect(await settleOf(second)).toEqual(['late'])
    await balanced()
  })

  it('may renew late while nobody has taken over, and never afterwards', async () => {
    await bench.join('d1', 1)
    await bench.add(1)
    await eventually(async () => (await bench.take('d1')).length === 0)
    expect(await lease(bench.partition, { action: 'renew', consumer: 'd1', ttlMs: 1 })).toMatchObject({ kind: 'held' })
    await bench.join('heir')
    await eventually(async () => {
      await takeOver(bench.partition, { consumer: 'heir', limit: 10 })
      return (await lease(bench.partition, { action: 'renew', consumer: 'd1', ttlMs: 1 })).kind === 'lost'
    })
  })

  it('a job that takes down its holders again and again is dead-lettered as crash_loop', async () => {
    await bench.join('h0')
    const [id] = await bench.add('poison')
    await bench.take('h0')
    for (const round of [1, 2, 3]) {
      await lease(bench.partition, { action: 'leave', consumer: `h${round - 1}` })
      await bench.join(`h${round}`)
      const taken = await takeOver(bench.partition, { consumer: `h${round}`, limit: 10 })
      expect(taken).toHaveLength(round < 3 ? 1 : 0)
    }
    expect((await listDeadLetters(bench.partition, { address: ADDRESS, limit: 1 })).letters).toMatchObject([
      { id, reason: 'crash_loop', attempts: 1 },
    ])
    await balanced()
  })

  it('is emptied in portions when it held more than one taker wants at once', async () => {
    await bench.join('dying')
    await bench.add(...Array.from({ length: 25 }, (_, index) => index))
    await bench.take('dying', { want: 25 })
    await lease(bench.partition, { action: 'leave', consumer: 'dying' })
    await bench.join('heir')
    const portions = [10, 10, 5, 0].map(() => takeOver(bench.partition, { consumer: 'heir', limit: 10 }))
    expect((await Promise.all(portions)).map((jobs) => jobs.length)).toEqual([10, 10, 5, 0])
  })
})

describe('a settle whose answer was lost', () => {
  it('asked again is settled, once, and is not reported late', async () => {
    await bench.join('d1')
    await bench.add(1)
    const [job] = await bench.take('d1')
    const call = { consumer: 'd1', address: ADDRESS, attempts: [{ job: job!, settlement: succeeded }] }
    await settle(bench.partition, call)
    expect(await settle(bench.partition, { ...call, again: true })).toEqual(['settled'])
    expect(await types()).toEqual(['job.enqueued', 'job.started', 'job.succeeded'])
    await balanced()
  })
})

describe('redis-server killed', () => {
  it('with kill -9 keeps every accepted job, and the scripts load again by themselves', async () => {
    const ids = await bench.add(...Array.from({ length: 50 }, (_, index) => index))
    await bench.join('d1')
    const taken = await bench.take('d1', { want: 20 })
    await server.kill('SIGKILL')
    await server.restart()
    const after = await eventually(async () => (await readCounts(bench.partition, [ADDRESS]))[0])
    expect(after).toMatchObject({ accepted: 50, waiting: 30, running: 20 })
    const attempts = taken.map((job) => ({ job, settlement: succeeded }))
    expect(new Set(await settle(bench.partition, { consumer: 'd1', address: ADDRESS, attempts }))).toEqual(
      new Set(['settled']),
    )
    expect((await bench.take('d1', { want: 50 })).map((job) => job.id)).toEqual(ids.slice(20))
    await balanced()
  })

  it('out of memory refuses new jobs and still settles accepted ones', async () => {
    await bench.join('d1')
    await bench.add(1, 2)
    const [job] = await bench.take('d1', { want: 1 })
    const { redis } = bench.partition
    await redis.config('SET', 'maxmemory', '1mb')
    try {
      const refused = enqueue(bench.partition, [{ address: ADDRESS, lane: 'normal', data: '3' }])
      await expect(refused).rejects.toSatisfy(isOutOfMemory)
      expect(
        await settle(bench.partition, {
          consumer: 'd1',
          address: ADDRESS,
          attempts: [
            {
              job: job!,
              settlement: { kind: 'retry', delayMs: 5, reason: 'timeout', durationMs: 1, lastResponse: {} },
            },
          ],
        }),
      ).toEqual(['settled'])
      expect(await bench.take('d1')).toHaveLength(1)
    } finally {
      await redis.config('SET', 'maxmemory', '0')
    }
    await balanced()
  })
})

describe('a one-holder lease', () => {
  it('is held by one, renewed by it, and passes on with a higher term when it lapses or is let go', async () => {
    const { partition } = bench
    expect(await hold(partition, { name: 'recorder', holder: 'a', ttlMs: 60_000 })).toEqual({ kind: 'held', term: 1 })
    expect(await hold(partition, { name: 'recorder', holder: 'b', ttlMs: 60_000 })).toEqual({
      kind: 'other',
      holder: 'a',
    })
    expect(await hold(partition, { name: 'recorder', holder: 'a', ttlMs: 60_000 })).toEqual({ kind: 'held', term: 1 })
    await hold(partition, { name: 'recorder', holder: 'a', ttlMs: 0 })
    expect(await hold(partition, { name: 'recorder', holder: 'b', ttlMs: 1 })).toEqual({ kind: 'held', term: 2 })
    await eventually(
      async () => (await hold(partition, { name: 'recorder', holder: 'a', ttlMs: 60_000 })).kind === 'held',
    )
  })
})

import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  claim,
  enqueue,
  findJob,
  imbalance,
  lease,
  moveDue,
  openQueues,
  readCounts,
  readLogRange,
  type Settlement,
  settle,
  settleLeased,
  takeOver,
} from '../src/index.ts'
import { ADDRESS, type Bench, prepare } from './fixture.ts'

const OTHER = 'shop/print'

let server: RedisServer
let bench: Bench
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())
beforeEach(async () => {
  bench = await prepare(server)
  await bench.join('one')
})

const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
const dead: Settlement = { kind: 'dead', reason: 'no_retry', durationMs: 1, lastResponse: {} }
const policy = { retries: 0, retryDelayMs: 1, backoff: { type: 'fixed', factor: 1, maxDelayMs: 1, jitter: 0 } } as const

const lanes = (address: string) => ['high', 'normal', 'low'].map((lane) => `{p0}:q:${address}:${lane}`)
const destroy = async (address = ADDRESS) => {
  for (const lane of lanes(address)) await bench.partition.redis.xgroup('DESTROY', lane, 'dispatch')
}
/** As whoever claims does when there is no group. */
const open = () => openQueues(bench.partition, [{ address: ADDRESS }])
const counts = async () => {
  const [found] = await readCounts(bench.partition, [ADDRESS])
  expect(imbalance(found!)).toBe(0)
  return found
}
const settleAll = (attempts: readonly [Awaited<ReturnType<Bench['take']>>[number], Settlement][], consumer = 'one') =>
  settle(bench.partition, {
    consumer,
    address: ADDRESS,
    attempts: attempts.map(([job, settlement]) => ({ job, settlement })),
  })

describe('a queue whose consumer group somebody destroyed', () => {
  it('refuses a claim until it is opened, and then gives out all that is not settled, from the beginning', async () => {
    const ids = await bench.add(1, 2, 3)
    const [first] = await bench.take('one', { want: 2 })
    await settleAll([[first!, done]])
    await destroy()
    await expect(bench.take('one')).rejects.toThrow(/NOGROUP/)
    await open()
    expect((await bench.take('one')).map(({ id }) => id)).toEqual(ids.slice(1))
    expect(await counts()).toMatchObject({ succeeded: 1, running: 2, waiting: 0 })
  })

  it('counts each job of a batch once that is settled while there is no group', async () => {
    await bench.add(1, 2, 3)
    const [a, b, c] = await bench.take('one')
    await destroy()
    // What is done is done; how a failure ends is decided when it is made again.
    expect(
      await settleAll([
        [a!, done],
        [b!, dead],
        [c!, { ...dead, kind: 'retry', delayMs: 1 }],
      ]),
    ).toEqual([...['settled', 'late', 'late']])
    expect(await counts()).toMatchObject({ succeeded: 1, dead: 0, waiting: 2, running: 0 })
    await open()
    const [again, last] = await bench.take('one')
    expect(
      await settleAll([
        [again!, dead],
        [last!, done],
      ]),
    ).toEqual(['settled', 'settled'])
    expect(await counts()).toMatchObject({ succeeded: 2, dead: 1, waiting: 0, running: 0 })
  })

  it('settles a job once that ran twice because of it', async () => {
    await bench.add(1, 2)
    const [a, b] = await bench.take('one')
    await destroy()
    await open()
    await bench.join('two')
    const [sameA, sameB] = await bench.take('two')
    expect(await settleAll([[b!, dead]])).toEqual(['late'])
    expect(await settleAll([[a!, done]])).toEqual(['settled'])
    expect(
      await settleAll(
        [
          [sameA!, done],
          [sameB!, dead],
        ],
        'two',
      ),
    ).toEqual(['late', 'settled'])
    const types = (await readLogRange(bench.partition)).map(({ type }) => type)
    expect(types.filter((type) => type === 'job.succeeded')).toHaveLength(1)
    expect(await counts()).toMatchObject({ succeeded: 1, dead: 1, waiting: 0, running: 0 })
  })

  it('keeps no other queue from having its jobs taken over, and is taken from no more', async () => {
    await openQueues(bench.partition, [{ address: OTHER }])
    await bench.add(1)
    const [other] = await enqueue(bench.partition, [{ address: OTHER, lane: 'normal', data: '2' }])
    await bench.take('one')
    await claim(bench.partition, { consumer: 'one', address: OTHER, concurrency: 5, want: 5 })
    await destroy()
    await lease(bench.partition, { action: 'leave', consumer: 'one' })
    await bench.join('heir')
    const taken = await takeOver(bench.partition, { consumer: 'heir', limit: 10 })
    expect(taken.map(({ id, epoch }) => [id, epoch])).toEqual([[other?.id, 2]])
    expect(await bench.partition.redis.zrange('{p0}:consumers', '0', '-1')).toEqual(['heir'])
    await open()
    expect(await bench.take('heir')).toHaveLength(1)
  })

  it('lets the due set move on past a worker whose lease ends, and refuses what the worker says when another was quicker', async () => {
    const [leasedId = '', quickId = ''] = await bench.add(1, 2)
    const [first, second] = await bench.take('one')
    const leased = { kind: 'leased', leaseMs: 1, token: 't1', policy, durationMs: 1 } as const
    await settleAll([
      [first!, leased],
      [second!, { ...leased, leaseMs: 60_000 }],
    ])
    await bench.addWith({ due: { inMs: 1 }, data: '3' })
    await destroy()
    await expect.poll(async () => (await moveDue(bench.partition, { limit: 10 })).nextInMs).toBeGreaterThan(1000)
    await open()
    const again = await bench.take('one')
    expect(again.map(({ id }) => id).slice(0, 2)).toEqual([leasedId, quickId])
    await settleAll(again.map((job) => [job, done]))
    const { redis } = bench.partition
    const record = JSON.parse((await redis.hget('{p0}:leased', quickId)) ?? '')
    const held = { address: ADDRESS, attempt: record.attempt, epoch: record.epoch, policy }
    const word = { kind: 'succeeded' as const }
    expect(await settleLeased(bench.partition, { id: quickId, token: 't1', leased: held, word })).toBe('lost')
    expect(await counts()).toMatchObject({ succeeded: 3, waiting: 0, running: 0, scheduled: 0 })
  })

  it('can be asked what its jobs wait for', async () => {
    const [, second = ''] = await bench.add(1, 2)
    await destroy()
    expect(await findJob(bench.partition, second)).toMatchObject({ state: 'waiting', ahead: 1, queueRunning: 0 })
    expect(await counts()).toMatchObject({ waiting: 2, running: 0 })
  })
})

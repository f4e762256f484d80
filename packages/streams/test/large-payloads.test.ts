import { describe, expect, it } from 'vitest'
import {
  type ClaimedJob,
  cancel,
  closeQueue,
  listDeadLetters,
  moveDue,
  openQueues,
  purge,
  readLeased,
  redrive,
  requestPurge,
  type Settlement,
  settle,
  settleLeased,
  takeOver,
} from '../src/index.ts'
import { ADDRESS, inLane, useBench } from './fixture.ts'

// After each test the fixture looks whether large payloads are there for what waits or is in hand, and for nothing else.
const bench = useBench({ consumer: 'one' })
const by = { who: 'ada', at: '2026-11-29T12:00:00.000Z' }
const failure = { durationMs: 1, reason: 'http_status', lastResponse: { status: 500 } } as const
const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }

const large = (n: number) => JSON.stringify({ n, text: 'x'.repeat(2000) })
const kept = () => bench.partition.redis.hkeys(bench.partition.keys.large(ADDRESS, 'normal'))
const inHand = () => bench.partition.redis.hvals(bench.partition.keys.inHand(ADDRESS))
const settleAs = (jobs: readonly ClaimedJob[], settlement: Settlement, consumer = 'one') =>
  settle(bench.partition, { consumer, address: ADDRESS, attempts: jobs.map((job) => ({ job, settlement })) })
const fill = async (count: number) => {
  const ids: string[] = []
  for (let n = 0; n < count; n++) ids.push(await bench.addWith({ data: large(n) }))
  return ids
}

describe('a large payload', () => {
  it('lies beside the lane, stays there when its job is claimed, and goes when that has succeeded', async () => {
    await bench.addWith({ data: '"small"' })
    const ids = await fill(3)
    const meta = { traceparent: 'tp' }
    ids.push(await bench.addWith({ data: large(3), meta }))
    expect((await inLane(bench.partition)).map(({ data }) => data)).toEqual(['"small"', '&', '&', '&', '&'])
    const jobs = await bench.take('one')
    expect(jobs.map(({ data }) => data)).toEqual(['"small"', large(0), large(1), large(2), large(3)])
    expect((await inHand()).map((value) => value.slice(-1)).toSorted()).toEqual(['"', '&', '&', '&', '&'])
    expect(await kept()).toHaveLength(4)
    await settleAs(jobs.slice(0, 2), done)
    expect(await kept()).toHaveLength(3)
    await settleAs(jobs.slice(2), done)
    expect(await kept()).toEqual([])
  })

  it('is in a batch of plain jobs what it is alone', async () => {
    await bench.add(1, 'y'.repeat(3000), 2)
    expect((await bench.take('one')).map(({ data }) => data)).toEqual(['1', JSON.stringify('y'.repeat(3000)), '2'])
    expect(await kept()).toHaveLength(1)
  })

  it('goes with its job into retries, other hands, dead letters and back', async () => {
    const [id = ''] = await fill(1)
    await settleAs(await bench.take('one'), { kind: 'retry', delayMs: 0, ...failure })
    expect(await kept()).toEqual([])
    await moveDue(bench.partition, { limit: 10 })
    expect(await kept()).toHaveLength(1)
    await bench.take('one')
    await bench.join('two')
    await bench.partition.redis.zadd(bench.partition.keys.consumers, '0', 'one')
    const taken = await takeOver(bench.partition, { consumer: 'two', limit: 10 })
    expect(taken.map(({ data }) => data)).toEqual([large(0)])
    await settleAs(taken, { kind: 'dead', ...failure }, 'two')
    expect(await kept()).toEqual([])
    const { letters } = await listDeadLetters(bench.partition, { address: ADDRESS, limit: 10 })
    expect(letters.map(({ text }) => text)).toEqual([large(0)])
    await redrive(bench.partition, { address: ADDRESS, limit: 10, who: 'ada' })
    expect((await bench.take('two')).map((job) => [job.id, job.data])).toEqual([[id, large(0)]])
  })

  it('of a job that takes its holders down is in its dead letter', async () => {
    await fill(1)
    await bench.take('one')
    await bench.join('two')
    await bench.partition.redis.zadd(bench.partition.keys.consumers, '0', 'one')
    expect(await takeOver(bench.partition, { consumer: 'two', limit: 10, maxTakeovers: 1 })).toEqual([])
    const { letters } = await listDeadLetters(bench.partition, { address: ADDRESS, limit: 10 })
    expect(letters.map(({ text }) => text)).toEqual([large(0)])
    expect(await kept()).toEqual([])
  })

  it('goes with a job that is cancelled, wherever it is, expires or is purged', async () => {
    const [waiting = '', leased = '', running = ''] = await fill(3)
    await bench.addWith({ data: large(3), meta: { expiresAtMs: Date.now() - 1 } })
    await fill(2)
    await cancel(bench.partition, { id: waiting, by })
    const [first, second] = await bench.take('one', { want: 3 })
    expect([first?.id, second?.id]).toEqual([leased, running])
    const policy = { retries: 3, retryDelayMs: 10, backoff: { type: 'fixed', jitter: 0 }, onStatus: undefined } as never
    await settleAs([first!], { kind: 'leased', leaseMs: 60_000, token: 't', policy, durationMs: 1 })
    expect((await readLeased(bench.partition, { id: leased, token: 't' }))?.address).toBe(ADDRESS)
    await cancel(bench.partition, { id: leased, by })
    await cancel(bench.partition, { id: running, by })
    await settleAs([second!], { kind: 'cancelled', ...failure, reason: 'cancelled' })
    expect(await kept()).toHaveLength(2)
    await requestPurge(bench.partition, { address: ADDRESS, token: 't', by })
    expect(await purge(bench.partition, { address: ADDRESS, token: 't', by })).toBe(2)
    expect(await kept()).toEqual([])
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('closed')
  })

  it('is that of a job which its worker ends', async () => {
    const [id = ''] = await fill(1)
    const policy = { retries: 3, retryDelayMs: 10, backoff: { type: 'fixed', jitter: 0 }, onStatus: undefined } as never
    await settleAs(await bench.take('one'), { kind: 'leased', leaseMs: 60_000, token: 't', policy, durationMs: 1 })
    expect(await kept()).toHaveLength(1)
    const leased = await readLeased(bench.partition, { id, token: 't' })
    const word = { kind: 'succeeded' } as const
    expect(await settleLeased(bench.partition, { id, token: 't', leased: leased!, word })).toBe('settled')
    expect(await kept()).toEqual([])
  })

  it('stands behind its key where the queue has got a limit for each since', async () => {
    for (let n = 0; n < 3; n++) await bench.addWith({ data: large(n), meta: { key: 'k' } })
    await openQueues(bench.partition, [{ address: ADDRESS, limits: { keyConcurrency: 1 } }])
    const got: string[] = []
    for (let jobs = await bench.take('one'); jobs.length > 0; jobs = await bench.take('one')) {
      got.push(...jobs.map(({ data }) => data))
      await settleAs(jobs, done)
    }
    expect(got).toEqual([large(0), large(1), large(2)])
    expect(await kept()).toEqual([])
  })

  it('that somebody took away stops nothing, and its job says so', async () => {
    await fill(2)
    await bench.partition.redis.del(bench.partition.keys.large(ADDRESS, 'normal'))
    const jobs = await bench.take('one')
    expect(jobs.map(({ data }) => JSON.parse(data))).toEqual(Array(2).fill('the payload is gone'))
    expect(await settleAs(jobs, done)).toEqual(['settled', 'settled'])
  })
})

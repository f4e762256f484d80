import { formatId, idFromPosition } from '@millrace/contracts'
import { eventually } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { digitsOf } from '../src/digits.ts'
import {
  type ClaimedJob,
  cancel,
  claim,
  findJob,
  lease,
  moveDue,
  openQueues,
  pause,
  readCounts,
  redrive,
  type Settlement,
  settle,
  takeOver,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'd1' })

const { open } = bench
const addKeyed = (key: string, data: unknown) => bench.addWith({ meta: { key }, data: JSON.stringify(data) })
const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
const failure = { reason: 'http_status', durationMs: 1, lastResponse: { status: 500 } } as const
const finish = (jobs: readonly ClaimedJob[], settlement: Settlement = done) =>
  settle(bench.partition, { consumer: 'd1', address: ADDRESS, attempts: jobs.map((job) => ({ job, settlement })) })
const payloads = (jobs: readonly ClaimedJob[]) => jobs.map((job) => JSON.parse(job.data))
const keysLeft = async () =>
  (await bench.partition.redis.keys('*')).filter((key) => /held|lines|ring|keyrun|places|unique/.test(key))

describe('a per-key limit', () => {
  it('is never exceeded, and serves the keys in turn', async () => {
    await open({ keyConcurrency: 2, onDead: 'skip' })
    for (let n = 0; n < 6; n++) await addKeyed('big', `big-${n}`)
    for (let n = 0; n < 2; n++) await addKeyed('small', `small-${n}`)
    const first = await bench.take('d1', { want: 10 })
    expect(payloads(first).toSorted()).toEqual(['big-0', 'big-1', 'small-0', 'small-1'])
    await finish(first)
    const second = await bench.take('d1', { want: 10 })
    expect(payloads(second)).toEqual(['big-2', 'big-3'])
  })

  it('lets one job of a small tenant pass ten thousand of a big one', async () => {
    await open({ keyConcurrency: 5, onDead: 'skip' })
    for (let n = 0; n < 300; n++) await addKeyed('big', n)
    await bench.take('d1', { want: 3 })
    await addKeyed('small', 'mine')
    expect(payloads(await bench.take('d1', { want: 2 }))).toContain('mine')
  })

  it('does not bind jobs without a key, which take their turn as one', async () => {
    await open({ keyConcurrency: 1, onDead: 'skip' })
    for (let n = 0; n < 4; n++) await bench.addWith({ data: `${n}` })
    await addKeyed('k', 'keyed')
    expect(await bench.take('d1', { want: 10 })).toHaveLength(5)
  })

  it('of 1 keeps the order of a key over retries', async () => {
    await open({ keyConcurrency: 1, onDead: 'skip' })
    for (const n of [1, 2, 3]) await addKeyed('k', n)
    const [first] = await bench.take('d1')
    expect(first!.data).toBe('1')
    await finish([first!], { kind: 'retry', delayMs: 0, ...failure })
    expect(await bench.take('d1'), 'the key waits for its retry').toEqual([])
    await moveDue(bench.partition, { limit: 10 })
    const [again] = await bench.take('d1')
    expect(again).toMatchObject({ data: '1', attempt: 2 })
    await finish([again!])
    expect(payloads(await bench.take('d1'))).toEqual([2])
  })

  it('of 1 lets the key go on after a dead letter, or blocks it until the redrive, as told', async () => {
    for (const onDead of ['skip', 'block'] as const) {
      await open({ keyConcurrency: 1, onDead })
      for (const n of [1, 2]) await addKeyed('k', n)
      const [job] = await bench.take('d1')
      await finish([job!], { kind: 'dead', ...failure })
      expect(payloads(await bench.take('d1'))).toEqual(onDead === 'skip' ? [2] : [])
      if (onDead === 'skip') continue
      await redrive(bench.partition, { address: ADDRESS, limit: 1, who: 'ada' })
      const [redriven] = await bench.take('d1')
      expect(redriven!.data).toBe('1')
      await finish([redriven!])
      expect(payloads(await bench.take('d1'))).toEqual([2])
    }
  })

  it('above 1 gives the slot to others while a job waits for its retry', async () => {
    await open({ keyConcurrency: 2, onDead: 'skip' })
    for (const n of [1, 2, 3]) await addKeyed('k', n)
    const jobs = await bench.take('d1')
    await finish([jobs[0]!], { kind: 'retry', delayMs: 60_000, ...failure })
    expect(payloads(await bench.take('d1'))).toEqual([3])
  })

  it('survives a takeover: the heir has the slots', async () => {
    await open({ keyConcurrency: 1, onDead: 'skip' })
    for (const n of [1, 2]) await addKeyed('k', n)
    await bench.take('d1')
    await lease(bench.partition, { action: 'leave', consumer: 'd1' })
    await bench.join('heir')
    const [taken] = await takeOver(bench.partition, { consumer: 'heir', limit: 10 })
    expect(await bench.take('heir')).toEqual([])
    await settle(bench.partition, { consumer: 'heir', address: ADDRESS, attempts: [{ job: taken!, settlement: done }] })
    expect(payloads(await bench.take('heir'))).toEqual([2])
  })

  it('given to a queue that has jobs in its lanes delivers those as well', async () => {
    await open({})
    for (const lane of ['low', 'high', 'normal'] as const) await bench.addWith({ lane, data: `"${lane}"` })
    await openQueues(bench.partition, [{ address: ADDRESS, limits: { keyConcurrency: 1 } }])
    expect(payloads(await bench.take('d1')).toSorted()).toEqual(['high', 'low', 'normal'])
  })

  it('never lets one job be taken for another whose position is the id of its entry', async () => {
    await open({ keyConcurrency: 5 })
    for (let round = 0; round < 100; round++) {
      const ids = [await addKeyed('a', round), await addKeyed('b', round)]
      const jobs = await bench.take('d1')
      for (const job of jobs) expect(await findJob(bench.partition, job.id)).toMatchObject({ state: 'running' })
      await finish(jobs)
      for (const id of ids) expect(await findJob(bench.partition, id)).toBeUndefined()
      const [next] = await bench.take('d1')
      expect(next).toBeUndefined()
    }
  })

  it('leaves nothing behind when all is done', async () => {
    await open({ keyConcurrency: 2, onDead: 'skip' })
    for (let n = 0; n < 20; n++) await addKeyed(`k${n % 4}`, n)
    const cancelled = await addKeyed('k0', 'never')
    expect((await cancel(bench.partition, { id: cancelled, by: { who: 'ada' } })).kind).toBe('cancelled')
    for (let jobs = await bench.take('d1'); jobs.length > 0; jobs = await bench.take('d1')) await finish(jobs)
    expect(await keysLeft()).toEqual([])
  })

  it('changed live, or taken away, lets what waits go on', async () => {
    await open({ keyConcurrency: 1, onDead: 'skip' })
    for (let n = 0; n < 6; n++) await addKeyed('k', n)
    await bench.take('d1')
    await openQueues(bench.partition, [{ address: ADDRESS, limits: { keyConcurrency: 3 } }])
    expect(await bench.take('d1')).toHaveLength(2)
    await openQueues(bench.partition, [{ address: ADDRESS }])
    expect(await bench.take('d1')).toHaveLength(3)
  })
})

describe('a rate limit', () => {
  it('starts a burst, then one per interval, by the server clock; waiting burns no attempt', async () => {
    await open({ rate: { limit: 10, periodMs: 500, burst: 3 } })
    await bench.add(...Array.from({ length: 8 }, (_, n) => n))
    expect(await bench.take('d1')).toHaveLength(3)
    const limited = await claim(bench.partition, { consumer: 'd1', address: ADDRESS, concurrency: 100, want: 10 })
    expect(limited.kind).toBe('limited')
    expect((limited as { waitMs: number }).waitMs).toBeLessThanOrEqual(50)
    const startedAt = Date.now()
    let taken = 0
    await eventually(async () => {
      const jobs = await bench.take('d1')
      expect(jobs.every((job) => job.attempt === 1)).toBe(true)
      taken += jobs.length
      return taken === 5
    })
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(200)
  })

  it('per key holds one key back and not the others', async () => {
    await open({ keyConcurrency: 10, keyRate: { limit: 1, periodMs: 300, burst: 1 } })
    for (const n of [1, 2]) await addKeyed('a', `a${n}`)
    await addKeyed('b', 'b1')
    expect(payloads(await bench.take('d1')).toSorted()).toEqual(['a1', 'b1'])
    expect(await bench.take('d1')).toEqual([])
    const late = await eventually(async () => {
      await moveDue(bench.partition, { limit: 10 })
      const jobs = await bench.take('d1')
      return jobs.length > 0 && jobs
    })
    expect(payloads(late)).toEqual(['a2'])
  })
})

describe('pause', () => {
  const by = { who: 'ada', why: 'maintenance', at: '2026-01-01T00:00:00.000Z' }

  it('of a queue stops claims until it is resumed, and keeps who and why', async () => {
    await open({})
    await bench.add(1)
    expect(await pause(bench.partition, { action: 'pause', address: ADDRESS, by })).toBe('paused')
    expect(await pause(bench.partition, { action: 'pause', address: ADDRESS, by })).toBe('unchanged')
    const refused = await claim(bench.partition, { consumer: 'd1', address: ADDRESS, concurrency: 9, want: 9 })
    expect(refused).toEqual({ kind: 'paused' })
    expect((await readCounts(bench.partition, [ADDRESS]))[0]?.paused).toEqual(by)
    expect(await pause(bench.partition, { action: 'resume', address: ADDRESS, by })).toBe('resumed')
    expect(await bench.take('d1')).toHaveLength(1)
  })

  it('of a key leaves the other keys alone', async () => {
    await open({ keyConcurrency: 5 })
    await addKeyed('a', 'a1')
    await addKeyed('b', 'b1')
    await pause(bench.partition, { action: 'pause', address: ADDRESS, key: 'a', by })
    await addKeyed('a', 'a2')
    expect(payloads(await bench.take('d1'))).toEqual(['b1'])
    await pause(bench.partition, { action: 'resume', address: ADDRESS, key: 'a', by })
    expect(payloads(await bench.take('d1')).toSorted()).toEqual(['a1', 'a2'])
  })
})

describe('a job whose place is ahead of the log', () => {
  it('does not stop the next job, which is found all the same', async () => {
    await open({})
    const { redis, keys } = bench.partition
    const [seconds] = (await redis.time()) as unknown as [string, string]
    const ahead = (Number(seconds) + 3600) * 1000
    const other = formatId({ prefix: 'job', ms: 1, seq: 0, partition: 0 })
    const body = JSON.stringify({ job: other, attempt: 0, epoch: 0, meta: '' })
    await redis.rpush(keys.lane(ADDRESS, 'normal'), `${digitsOf(idFromPosition('job', `${ahead}-0`, 0))}@${body}\n1`)
    const [id] = await bench.add('next')
    expect((await bench.take('d1')).map((job) => job.id)).toEqual([other, id])
    await bench.partition.redis.hincrby(keys.counts(ADDRESS), 'accepted', 1)
  })
})

import { describe, expect, it } from 'vitest'
import {
  type ClaimedJob,
  cancel,
  enqueue,
  findJob,
  lease,
  moveDue,
  type NewJob,
  openQueues,
  purge,
  readCounts,
  readLogRange,
  requestPurge,
  reschedule,
  type Settlement,
  settle,
  takeOver,
  type Unique,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'd1' })

const by = { who: 'ada', why: 'wrong order' }
const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
const failure = { reason: 'http_status', durationMs: 1, lastResponse: { status: 500 } } as const
const finish = (job: ClaimedJob, settlement: Settlement = done) =>
  settle(bench.partition, { consumer: 'd1', address: ADDRESS, attempts: [{ job, settlement }] })
const lastEvent = async (id: string) =>
  (await readLogRange(bench.partition)).filter((event) => event.entityId === id).at(-1)
const counts = async () => (await readCounts(bench.partition, [ADDRESS]))[0]!

describe('cancel', () => {
  it('takes a waiting job out of its lane', async () => {
    const [id, other] = await bench.add(1, 2)
    expect(await cancel(bench.partition, { id: id!, by })).toEqual({ kind: 'cancelled', address: ADDRESS })
    expect((await bench.take('d1')).map((job) => job.id)).toEqual([other])
    expect(await lastEvent(id!)).toMatchObject({ type: 'job.cancelled', data: JSON.stringify(by) })
    expect((await cancel(bench.partition, { id: id!, by })).kind).toBe('unknown')
  })

  it('takes a scheduled job, and one that waits for its retry, out of the due set', async () => {
    const later = await bench.addWith({ due: { inMs: 60_000 } })
    const [failing] = await bench.add(1)
    const [job] = await bench.take('d1')
    await finish(job!, { kind: 'retry', delayMs: 60_000, ...failure })
    for (const id of [later, failing!]) expect((await cancel(bench.partition, { id, by })).kind).toBe('cancelled')
    expect(await counts()).toMatchObject({ cancelled: 2, scheduled: 0 })
  })

  it('finds a job that was moved, also when the log no longer has it', async () => {
    const [id] = await bench.add(1)
    const [job] = await bench.take('d1')
    await finish(job!, { kind: 'retry', delayMs: 0, ...failure })
    await moveDue(bench.partition, { limit: 1 })
    await bench.partition.redis.xtrim(bench.partition.keys.log, 'MAXLEN', 0)
    const [second] = await bench.add(2)
    await bench.partition.redis.xtrim(bench.partition.keys.log, 'MAXLEN', 0)
    for (const gone of [id!, second!]) expect((await cancel(bench.partition, { id: gone, by })).kind).toBe('cancelled')
  })

  it('marks a running job, announces it, and cancels it when its attempt fails', async () => {
    const [id] = await bench.add(1)
    const [job] = await bench.take('d1')
    expect((await cancel(bench.partition, { id: id!, by })).kind).toBe('cancelling')
    expect(await finish(job!, { kind: 'retry', delayMs: 0, ...failure })).toEqual(['settled'])
    expect(await lastEvent(id!)).toMatchObject({ type: 'job.cancelled', data: JSON.stringify(by) })
    expect(await bench.partition.redis.exists('{p0}:cancelling')).toBe(0)
  })

  it('does not undo a success that came first', async () => {
    const [id] = await bench.add(1)
    const [job] = await bench.take('d1')
    await cancel(bench.partition, { id: id!, by })
    await finish(job!)
    expect(await counts()).toMatchObject({ succeeded: 1, cancelled: 0 })
    expect(await bench.partition.redis.exists('{p0}:cancelling')).toBe(0)
  })

  it('ends with the dispatcher that died over it', async () => {
    const [id] = await bench.add(1)
    await bench.take('d1')
    await cancel(bench.partition, { id: id!, by })
    await lease(bench.partition, { action: 'leave', consumer: 'd1' })
    await bench.join('heir')
    expect(await takeOver(bench.partition, { consumer: 'heir', limit: 10 })).toEqual([])
    expect(await counts()).toMatchObject({ cancelled: 1, running: 0 })
  })
})

describe('reschedule', () => {
  it('gives a scheduled job another time, now included', async () => {
    const id = await bench.addWith({ due: { inMs: 60_000 } })
    expect(await reschedule(bench.partition, { id, due: { inMs: 0 }, by })).toMatchObject({ kind: 'rescheduled' })
    expect((await moveDue(bench.partition, { limit: 1 })).moved).toBe(1)
    expect(await reschedule(bench.partition, { id, due: { inMs: 0 }, by })).toEqual({ kind: 'waiting' })
    expect(await reschedule(bench.partition, { id: 'job_00000000000000000000', due: { inMs: 0 }, by })).toEqual({
      kind: 'unknown',
    })
  })
})

describe('a job is found', () => {
  it('wherever it is, with what stands before it', async () => {
    const [first, second] = await bench.add(1, 2)
    const later = await bench.addWith({ due: { atMs: 4102444800000 } })
    expect(await findJob(bench.partition, second!)).toMatchObject({
      state: 'waiting',
      address: ADDRESS,
      lane: 'normal',
      ahead: 1,
    })
    await bench.take('d1', { want: 1 })
    expect(await findJob(bench.partition, first!)).toMatchObject({ state: 'running', consumer: 'd1', queueRunning: 1 })
    expect(await findJob(bench.partition, later)).toMatchObject({ state: 'scheduled', dueMs: 4102444800000 })
    expect(await findJob(bench.partition, 'job_00000000000000000000')).toBeUndefined()
  })
})

describe('purge', () => {
  it('needs its token, and removes what waited at the count and nothing that came later', async () => {
    await bench.add(1, 2, 3)
    await bench.take('d1', { want: 1 })
    expect(await requestPurge(bench.partition, { address: ADDRESS, token: 't1', by })).toEqual({
      waiting: 2,
      scheduled: 0,
    })
    const [later] = await bench.add(4)
    expect(await purge(bench.partition, { address: ADDRESS, token: 'wrong', by })).toBeUndefined()
    expect(await purge(bench.partition, { address: ADDRESS, token: 't1', by })).toBe(2)
    expect(await purge(bench.partition, { address: ADDRESS, token: 't1', by })).toBeUndefined()
    expect((await bench.take('d1')).map((job) => job.id)).toEqual([later])
    expect(await counts()).toMatchObject({ cancelled: 2 })
  })

  it('removes what waits behind keys as well', async () => {
    await openQueues(bench.partition, [{ address: ADDRESS, limits: { keyConcurrency: 1 } }])
    for (let n = 0; n < 5; n++) await bench.addWith({ meta: { key: `k${n % 2}` }, data: `${n}` })
    const running = await bench.take('d1')
    await requestPurge(bench.partition, { address: ADDRESS, token: 't', by })
    expect(await purge(bench.partition, { address: ADDRESS, token: 't', by })).toBe(3)
    for (const job of running) await finish(job)
    expect(await bench.take('d1')).toEqual([])
  })
})

describe('unique', () => {
  const add = async (unique: Unique, data = '{}', extra: Partial<NewJob> = {}) => {
    const meta = { unique: { key: unique.key, mode: unique.mode } }
    const [result] = await enqueue(bench.partition, [
      { address: ADDRESS, lane: 'normal', data, unique, meta, ...extra },
    ])
    return result!
  }
  const keys = async () => (await bench.partition.redis.keys('*')).filter((key) => key.includes('unique'))

  it('until started: one waiting job per key', async () => {
    const first = await add({ mode: 'until_started', key: 'k' })
    expect(await add({ mode: 'until_started', key: 'k' })).toEqual({ kind: 'duplicate', id: first.id })
    expect((await add({ mode: 'until_started', key: 'other' })).kind).toBe('enqueued')
    await bench.take('d1')
    expect((await add({ mode: 'until_started', key: 'k' })).kind).toBe('enqueued')
  })

  it.each([
    ['success', async (job: ClaimedJob) => finish(job)],
    ['death', async (job: ClaimedJob) => finish(job, { kind: 'dead', ...failure })],
    [
      'cancellation',
      async (job: ClaimedJob) => {
        await cancel(bench.partition, { id: job.id, by })
        await finish(job, { kind: 'retry', delayMs: 0, ...failure })
      },
    ],
  ])('until finished: the key is taken through retries and free after %s', async (_name, end) => {
    const unique: Unique = { mode: 'until_finished', key: 'k' }
    const first = await add(unique)
    const [job] = await bench.take('d1')
    await finish(job!, { kind: 'retry', delayMs: 0, ...failure })
    expect((await add(unique)).kind).toBe('duplicate')
    await moveDue(bench.partition, { limit: 1 })
    const [again] = await bench.take('d1')
    expect(await add(unique)).toEqual({ kind: 'duplicate', id: first.id })
    await end(again!)
    expect(await keys()).toEqual([])
    expect((await add(unique)).kind).toBe('enqueued')
  })

  it('is free after expiry and after a purge', async () => {
    const unique: Unique = { mode: 'until_finished', key: 'k' }
    await add(unique, '{}', { meta: { unique: { key: 'k', mode: 'until_finished' }, expiresAtMs: 1 } })
    await bench.take('d1')
    expect((await add(unique)).kind).toBe('enqueued')
    await requestPurge(bench.partition, { address: ADDRESS, token: 't', by })
    await purge(bench.partition, { address: ADDRESS, token: 't', by })
    expect(await keys()).toEqual([])
  })

  it('throttle: one job per period, whatever becomes of it', async () => {
    const unique: Unique = { mode: 'throttle', key: 'k', periodMs: 60_000 }
    const first = await add(unique)
    const [job] = await bench.take('d1')
    await finish(job!)
    expect(await add(unique)).toEqual({ kind: 'duplicate', id: first.id })
    expect(await bench.partition.redis.pttl(`{p0}:unique:${ADDRESS}:k`)).toBeGreaterThan(50_000)
  })

  it('debounce: the last payload wins, and the wait has an end', async () => {
    const unique: Unique = { mode: 'debounce', key: 'k', periodMs: 60_000, maxWaitMs: 90_000 }
    const first = await add(unique, '"one"')
    expect(await add(unique, '"two"')).toEqual({ kind: 'debounced', id: first.id })
    const due = Number(await bench.partition.redis.zscore('{p0}:due', first.id))
    expect(due - Date.now()).toBeGreaterThan(50_000)
    await reschedule(bench.partition, { id: first.id, due: { inMs: 0 }, by })
    await moveDue(bench.partition, { limit: 1 })
    expect(await keys(), 'the next one starts a new wait').toEqual([])
    expect((await bench.take('d1')).map((job) => job.data)).toEqual(['"two"'])
  })

  it('debounce never waits past its longest wait', async () => {
    const unique: Unique = { mode: 'debounce', key: 'k', periodMs: 60_000, maxWaitMs: 1 }
    const { id } = await add(unique)
    await add(unique)
    expect(Number(await bench.partition.redis.zscore('{p0}:due', id)) - Date.now()).toBeLessThan(1000)
  })

  it('a key whose owner is gone does not block', async () => {
    await bench.partition.redis.set(`{p0}:unique:${ADDRESS}:k`, 'job_00000000000000000000')
    expect((await add({ mode: 'until_finished', key: 'k' })).kind).toBe('enqueued')
  })
})

describe('an atomic batch', () => {
  const job = (key: string, fingerprint: string): NewJob => ({
    address: ADDRESS,
    lane: 'normal',
    data: '1',
    idempotency: { key, fingerprint },
  })

  it('is accepted whole, or not at all when one job conflicts', async () => {
    await enqueue(bench.partition, [job('a', 'f1')])
    const refused = await enqueue(bench.partition, [job('b', 'f1'), job('a', 'f2')], { atomic: true })
    expect(refused.map(({ kind }) => kind)).toEqual(['refused', 'conflict'])
    const twins = await enqueue(bench.partition, [job('c', 'f1'), job('c', 'f2')], { atomic: true })
    expect(twins.map(({ kind }) => kind)).toEqual(['refused', 'refused'])
    expect((await counts()).accepted).toBe(1)
    const accepted = await enqueue(bench.partition, [job('b', 'f1'), job('c', 'f1')], { atomic: true })
    expect(accepted.map(({ kind }) => kind)).toEqual(['enqueued', 'enqueued'])
  })
})

describe('a postponed attempt', () => {
  it('does not count: the next one has the same number and a higher epoch', async () => {
    await bench.add(1)
    const [job] = await bench.take('d1')
    await finish(job!, { kind: 'postpone', delayMs: 0, ...failure })
    await moveDue(bench.partition, { limit: 1 })
    expect(await bench.take('d1')).toMatchObject([{ attempt: 1, epoch: 2 }])
  })
})

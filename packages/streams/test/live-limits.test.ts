import { describe, expect, it } from 'vitest'
import {
  type ClaimedJob,
  cancel,
  claim,
  discard,
  type Limits,
  moveDue,
  openQueues,
  readCounts,
  redrive,
  type Settlement,
  settle,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

/** What changes while jobs wait, run, wait for a retry or block their key: no slot may leak, none may be doubled. */
const bench = useBench({ consumer: 'd1' })

const { open } = bench
const apply = (limits?: Limits) => openQueues(bench.partition, [{ address: ADDRESS, ...(limits && { limits }) }])
const addKeyed = (key: string, data: unknown) => bench.addWith({ meta: { key }, data: JSON.stringify(data) })
const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
const failure = { reason: 'http_status', durationMs: 1, lastResponse: { status: 500 } } as const
const retry = (delayMs = 0): Settlement => ({ kind: 'retry', delayMs, ...failure })
const dead: Settlement = { kind: 'dead', ...failure }
const finish = (jobs: readonly ClaimedJob[], settlement: Settlement = done) =>
  settle(bench.partition, { consumer: 'd1', address: ADDRESS, attempts: jobs.map((job) => ({ job, settlement })) })
const payloads = (jobs: readonly ClaimedJob[]) => jobs.map((job) => JSON.parse(job.data))
const due = () => moveDue(bench.partition, { limit: 1000 })
const keysLeft = async () =>
  (await bench.partition.redis.keys('*')).filter((key) => /held|lines|ring|keyrun|slots|places|unique/.test(key))
/** Deliver all that there is. */
const finishAll = async () => {
  const order: unknown[] = []
  for (;;) {
    const result = await claim(bench.partition, { consumer: 'd1', address: ADDRESS, concurrency: 100, want: 50 })
    if (result.kind !== 'claimed') return order
    order.push(...payloads(result.jobs))
    await finish(result.jobs)
  }
}
const ONE: Limits = { keyConcurrency: 1, onDead: 'skip' }
const BLOCK: Limits = { keyConcurrency: 1, onDead: 'block' }
const TWO: Limits = { keyConcurrency: 2, onDead: 'skip' }

describe('a limit that changes while a job waits for its retry', () => {
  it('from 1 gives the slot that it kept back once, at its end', async () => {
    await open(ONE)
    for (const n of [1, 2, 3, 4]) await addKeyed('k', n)
    await finish(await bench.take('d1'), retry())
    await apply(TWO)
    expect(payloads(await bench.take('d1')), 'its retry has one of the two slots').toEqual([2])
    await due()
    expect(payloads(await bench.take('d1'))).toEqual([1])
    expect(await bench.take('d1')).toEqual([])
  })

  it('to 1 lets it wait for a slot of its own', async () => {
    await open(TWO)
    for (const n of [1, 2]) await addKeyed('k', n)
    await finish((await bench.take('d1', { want: 1 })).slice(0, 1), retry())
    await apply(ONE)
    expect(payloads(await bench.take('d1'))).toEqual([2])
    await due()
    expect(await bench.take('d1'), 'the only slot is taken').toEqual([])
  })

  it('leaves nothing behind when it is cancelled after the change', async () => {
    await open(ONE)
    const id = await addKeyed('k', 1)
    await finish(await bench.take('d1'), retry(60_000))
    await apply(TWO)
    expect((await cancel(bench.partition, { id, by: { who: 'ada' } })).kind).toBe('cancelled')
    expect(await keysLeft()).toEqual([])
  })
})

describe('a limit that is lowered', () => {
  it('holds for a key that had its next turn already', async () => {
    await open({ keyConcurrency: 3, onDead: 'skip' })
    for (const n of [1, 2, 3]) await addKeyed('k', n)
    const running = await bench.take('d1', { want: 1 })
    await apply(ONE)
    expect(await bench.take('d1')).toEqual([])
    await finish(running)
    expect(payloads(await bench.take('d1'))).toEqual([2])
  })
})

describe('the first limit of a queue', () => {
  it('counts what runs', async () => {
    await open()
    await addKeyed('k', 1)
    const running = await bench.take('d1')
    await apply(ONE)
    await addKeyed('k', 2)
    expect(await bench.take('d1')).toEqual([])
    await finish(running)
    expect(payloads(await bench.take('d1'))).toEqual([2])
  })

  it('holds for what waits in the lanes already', async () => {
    await open()
    for (const lane of ['low', 'high', 'normal'] as const)
      await bench.addWith({ lane, meta: { key: 'k' }, data: `"${lane}"` })
    await apply(ONE)
    const order: unknown[] = []
    for (let jobs = await bench.take('d1'); order.length < 3; jobs = await bench.take('d1')) {
      expect(jobs).toHaveLength(1)
      order.push(...payloads(jobs))
      await finish(jobs)
    }
    expect(order.toSorted()).toEqual(['high', 'low', 'normal'])
    expect(await keysLeft()).toEqual([])
  })
})

describe('a limit that is taken away', () => {
  it('lets all lines go into the lanes they were meant for, and forgets the slots', async () => {
    await open(ONE)
    for (let n = 0; n < 2500; n++) await addKeyed(`k${n % 3}`, n)
    const running = await bench.take('d1')
    await apply()
    expect((await keysLeft()).filter((key) => !key.includes('places'))).toEqual([])
    await bench.addWith({ lane: 'high', data: '"first"' })
    expect(payloads(await bench.take('d1', { want: 1 }))).toEqual(['first'])
    await finish(running)
    await apply(ONE)
    await addKeyed('k0', 'later')
    expect(await finishAll()).toHaveLength(2498)
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ waiting: 0, running: 1 })
  })
})

describe('onDead', () => {
  it('from block to skip frees the keys that are blocked, and not those that wait for a retry', async () => {
    await open(BLOCK)
    for (const key of ['blocked', 'waits']) for (const n of [1, 2]) await addKeyed(key, `${key} ${n}`)
    const jobs = await bench.take('d1')
    for (const job of jobs) await finish([job], job.meta.key === 'blocked' ? dead : retry(60_000))
    expect(await bench.take('d1')).toEqual([])
    await apply(ONE)
    expect(payloads(await bench.take('d1'))).toEqual(['blocked 2'])
    await redrive(bench.partition, { address: ADDRESS, limit: 1, who: 'ada' })
    expect(await bench.take('d1'), 'the redriven job takes its turn like any other').toEqual([])
  })

  it('block with a limit that is raised frees them as well', async () => {
    await open(BLOCK)
    for (const n of [1, 2]) await addKeyed('k', n)
    await finish(await bench.take('d1'), dead)
    await apply(TWO)
    expect(payloads(await bench.take('d1'))).toEqual([2])
  })

  it('from skip to block leaves the keys of earlier dead letters alone, and their redrive doubles no slot', async () => {
    await open(ONE)
    for (const n of [1, 2]) await addKeyed('k', n)
    await finish(await bench.take('d1'), dead)
    await apply(BLOCK)
    const second = await bench.take('d1')
    await redrive(bench.partition, { address: ADDRESS, limit: 1, who: 'ada' })
    expect(await bench.take('d1')).toEqual([])
    await finish(second)
    expect(payloads(await bench.take('d1'))).toEqual([1])
  })

  it('block: a discarded letter that never blocked frees nothing of others', async () => {
    await open(ONE)
    for (const n of [1, 2, 3]) await addKeyed('k', n)
    const [first] = await bench.take('d1')
    await finish([first!], dead)
    await apply(BLOCK)
    await bench.take('d1')
    await discard(bench.partition, { address: ADDRESS, ids: [first!.id], by: { who: 'ada', why: 'test' } })
    expect(await bench.take('d1'), 'the slot is that of the running job').toEqual([])
  })
})

import { describe, expect, it } from 'vitest'
import {
  type ClaimedJob,
  cancel,
  claim,
  closeQueue,
  findJob,
  type Limits,
  lease,
  moveDue,
  openQueues,
  pause,
  readCounts,
  type Settlement,
  settle,
  takeOver,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'd1' })

const LIMIT = 5
const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
const notBegun: Settlement = {
  ...{ kind: 'postpone', delayMs: 0, reason: 'not_begun', durationMs: 0 },
  lastResponse: { error: 'it was claimed ahead' },
}
const add = (count: number) => bench.add(...Array.from({ length: count }, (_, n) => n))
const apply = (limits?: Limits) => openQueues(bench.partition, [{ address: ADDRESS, ...(limits && { limits }) }])
const limited = (limit: number) => ({ rate: { limit, periodMs: 60_000, burst: limit } })
interface Call {
  readonly want?: number
  readonly prefetched?: number
  readonly prefetch?: number
  readonly concurrency?: number
}
const ask = (consumer: string, { want = 0, prefetched = 0, prefetch = 0, concurrency = LIMIT }: Call) =>
  claim(bench.partition, { consumer, address: ADDRESS, concurrency, want, prefetched, prefetch })
/** What a claim brought, where it has to bring something. */
const take = async (consumer: string, call: Call) => {
  const result = await ask(consumer, call)
  if (result.kind !== 'claimed') throw new Error(`the claim is answered with ${result.kind}`)
  return result
}
const finish = (consumer: string, jobs: readonly ClaimedJob[], prefetched?: number, settlement: Settlement = done) =>
  settle(bench.partition, {
    ...{ consumer, address: ADDRESS, prefetched },
    attempts: jobs.map((job) => ({ job, settlement })),
  })
const noted = () => bench.partition.redis.hgetall(`{p0}:prefetched:${ADDRESS}`)
const counts = async () => (await readCounts(bench.partition, [ADDRESS]))[0]!
const payloads = (jobs: readonly ClaimedJob[]) => jobs.map((job) => JSON.parse(job.data))
const leave = (consumer: string) => lease(bench.partition, { action: 'leave', consumer })

describe('a claim that prefetches', () => {
  it('says how many attempts may begin, brings the others beside them, and notes how many those are', async () => {
    await add(100)
    const first = await take('d1', { want: 5, prefetch: 3 })
    expect(first).toMatchObject({ starts: 5 })
    expect(payloads(first.jobs)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(await noted()).toEqual({ d1: '3' })
  })

  it('lets what was prefetched begin in the places that a settle frees, and brings as many more', async () => {
    await add(100)
    const { jobs } = await take('d1', { want: 5, prefetch: 3 })
    await finish('d1', jobs.slice(0, 2), 3)
    const next = await take('d1', { want: 2, prefetched: 3, prefetch: 3 })
    expect(next).toMatchObject({ starts: 2 })
    expect(payloads(next.jobs)).toEqual([8, 9])
    expect(await noted()).toEqual({ d1: '3' })
    expect(await counts()).toMatchObject({ running: 5 })
  })

  it('brings no job where it has as many prefetched as it wants, and lets attempts begin at those', async () => {
    await add(100)
    const { jobs } = await take('d1', { want: 5, prefetch: 3 })
    await finish('d1', jobs.slice(0, 2), 3)
    expect(await take('d1', { want: 2, prefetched: 3 })).toMatchObject({ starts: 2, jobs: [] })
    expect(await noted()).toEqual({ d1: '1' })
    await finish('d1', jobs.slice(2, 3), 1)
    expect(await take('d1', { want: 1, prefetched: 1 })).toMatchObject({ starts: 1, jobs: [] })
    expect(await noted()).toEqual({})
  })

  it('leaves twice the concurrency waiting for others', async () => {
    await add(2 * LIMIT + LIMIT + 2)
    const result = await take('d1', { want: 5, prefetch: 5 })
    expect(result, 'five that begin, and two that are beyond those ten').toMatchObject({ starts: 5 })
    expect(result.jobs).toHaveLength(7)
    expect(await ask('d1', { prefetched: 2, prefetch: 5 })).toEqual({ kind: 'full' })
  })

  it('brings none ahead where too few wait', async () => {
    await add(2 * LIMIT + LIMIT)
    const result = await take('d1', { want: 5, prefetch: 5 })
    expect(result.jobs).toHaveLength(5)
    expect(await noted()).toEqual({})
  })

  it('brings none ahead to one that has nothing under way which would make way for them', async () => {
    await bench.join('d2')
    await add(100)
    await take('d1', { want: 5 })
    expect(await ask('d2', { want: 5, prefetch: 5 })).toEqual({ kind: 'full' })
    expect(await noted()).toEqual({})
    expect(await ask('d1', { prefetch: 5 })).toMatchObject({ kind: 'claimed', starts: 0 })
    expect(await noted()).toEqual({ d1: '5' })
  })

  it.each<[string, Limits]>([
    ['a rate limit', limited(50)],
    ['a limit for each key', { keyConcurrency: 50, onDead: 'skip' }],
  ])('brings none ahead in a queue with %s', async (_, limits) => {
    await bench.open(limits)
    await add(100)
    const result = await take('d1', { want: 5, prefetch: 5 })
    expect(result).toMatchObject({ starts: 5 })
    expect(result.jobs).toHaveLength(5)
    expect(await ask('d1', { prefetch: 5 })).toEqual({ kind: 'full' })
    expect(await noted()).toEqual({})
  })

  it('brings none ahead any more when the queue gets a rate limit, and lets those begin that there are', async () => {
    await add(100)
    const { jobs } = await take('d1', { want: 5, prefetch: 5 })
    await apply(limited(50))
    await finish('d1', jobs.slice(0, 5), 5)
    expect(await take('d1', { want: 5, prefetched: 5, prefetch: 5 })).toMatchObject({ starts: 5, jobs: [] })
    expect(await noted()).toEqual({})
  })

  it('is told of a pause, whatever it has prefetched', async () => {
    await add(100)
    await take('d1', { want: 5, prefetch: 5 })
    await pause(bench.partition, { action: 'pause', address: ADDRESS, by: { who: 'ada', at: '' } })
    expect(await ask('d1', { want: 5, prefetched: 5, prefetch: 5 })).toEqual({ kind: 'paused' })
  })
})

describe('the concurrency of a queue', () => {
  it('holds over two consumers that prefetch, whoever claims and settles in whatever order', async () => {
    await bench.join('d2')
    await add(500)
    const sides = ['d1', 'd2'].map((name) => ({ name, underWay: [] as ClaimedJob[], ahead: [] as ClaimedJob[] }))
    const delivered: unknown[] = []
    for (let round = 0; round < 400; round++) {
      // A fixed sequence that looks like chance.
      const chance = (of: number) => (Math.imul(round + 1, 2_654_435_761) >>> (of + 8)) % of
      const side = sides[chance(2)]!
      const ended = side.underWay.splice(0, chance(4))
      // Others begin in their places before any word of it goes out.
      side.underWay.push(...side.ahead.splice(0, chance(3) === 0 ? 0 : ended.length))
      await finish(side.name, ended, side.ahead.length)
      delivered.push(...payloads(ended))
      const result = await ask(side.name, { want: chance(6), prefetched: side.ahead.length, prefetch: chance(5) })
      if (result.kind === 'claimed') {
        side.ahead.push(...result.jobs)
        side.underWay.push(...side.ahead.splice(0, result.starts))
      }
      const [one, two] = sides
      expect(one!.underWay.length + two!.underWay.length, `round ${round}`).toBeLessThanOrEqual(LIMIT)
      expect((await counts()).running, `round ${round}`).toBe(one!.underWay.length + two!.underWay.length)
    }
    expect(delivered.length).toBeGreaterThan(100)
    expect(new Set(delivered).size).toBe(delivered.length)
  })

  it('gives the place that one of two leaves free to the other, beside what is prefetched', async () => {
    await bench.join('d2')
    await add(100)
    const { jobs } = await take('d1', { want: 3, prefetch: 3 })
    expect(await take('d2', { want: 5, prefetch: 2 })).toMatchObject({ starts: 2 })
    expect(await ask('d2', { want: 3, prefetched: 2 }), 'five run').toEqual({ kind: 'full' })
    await finish('d1', jobs.slice(0, 1), 3)
    expect(await take('d2', { want: 3, prefetched: 2 })).toMatchObject({ starts: 1, jobs: [] })
    expect(await ask('d1', { want: 1, prefetched: 3 })).toEqual({ kind: 'full' })
    expect(await noted()).toEqual({ d1: '3', d2: '1' })
  })

  it('counts an attempt that began in the place of another as under way until both are settled', async () => {
    await bench.join('d2')
    await add(100)
    const { jobs } = await take('d1', { want: 5, prefetch: 2 })
    // Two have ended, and the prefetched ones have begun: nobody has heard of it.
    expect(await ask('d2', { want: 5 })).toEqual({ kind: 'full' })
    await finish('d1', jobs.slice(0, 2), 0)
    expect(await ask('d2', { want: 5 })).toEqual({ kind: 'full' })
    await finish('d1', jobs.slice(2), 0)
    expect(await take('d2', { want: 5 })).toMatchObject({ starts: 5 })
  })

  it('lowered below what runs lets nobody claim ahead, nor begin, until there is room', async () => {
    await bench.join('d2')
    await add(100)
    const first = await take('d1', { want: 8, prefetch: 3, concurrency: 8 })
    const lowered = { concurrency: 3, prefetched: 3 }
    expect(await ask('d1', { ...lowered, prefetch: 5 })).toEqual({ kind: 'full' })
    expect(await ask('d2', { want: 3, prefetch: 3, concurrency: 3 })).toEqual({ kind: 'full' })
    await finish('d1', first.jobs.slice(0, 5), 3)
    expect(await ask('d1', { ...lowered, want: 3 })).toEqual({ kind: 'full' })
    await finish('d1', first.jobs.slice(5, 6), 3)
    expect(await take('d1', { ...lowered, want: 3 })).toMatchObject({ starts: 1, jobs: [] })
  })

  it('is not exceeded where somebody says that more is prefetched than is pending under its name', async () => {
    await bench.join('d2')
    await add(100)
    await take('d1', { want: 3 })
    expect(await take('d2', { want: 5 })).toMatchObject({ starts: 2 })
    await finish('d1', [], 50)
    // No more than its own three are free again.
    expect(await take('d2', { want: 50 })).toMatchObject({ starts: 3 })
    expect(await counts()).toMatchObject({ running: 5 })
  })

  it('has a consumer that says of fewer use no more than those, until it says of more', async () => {
    await bench.join('d2')
    await add(100)
    await take('d1', { want: 3, prefetch: 4 })
    await finish('d1', [], 2)
    expect(await counts()).toMatchObject({ running: 5 })
    expect(await ask('d2', { want: 5 })).toEqual({ kind: 'full' })
    await finish('d1', [], 4)
    expect(await take('d2', { want: 5 })).toMatchObject({ starts: 2 })
  })
})

describe('a settle', () => {
  it('says how many are prefetched, and without a number leaves what was said', async () => {
    await add(100)
    const { jobs } = await take('d1', { want: 5, prefetch: 5 })
    await finish('d1', jobs.slice(0, 1), 4)
    expect(await noted()).toEqual({ d1: '4' })
    await finish('d1', jobs.slice(1, 2))
    expect(await noted()).toEqual({ d1: '4' })
    await finish('d1', jobs.slice(2, 3), 0)
    expect(await noted()).toEqual({})
  })

  it('of a consumer whose lease is gone says nothing', async () => {
    await bench.join('d2')
    await add(100)
    const { jobs } = await take('d1', { want: 5, prefetch: 5 })
    await leave('d1')
    await takeOver(bench.partition, { consumer: 'd2', limit: 100 })
    expect(await finish('d1', jobs.slice(0, 1), 4)).toEqual(['late'])
    expect(await noted()).toEqual({ d2: '5' })
  })

  it('gives back what has not begun: it costs no attempt, and others have it', async () => {
    await bench.join('d2')
    await add(100)
    const { jobs } = await take('d1', { want: 5, prefetch: 1 })
    const [ahead] = jobs.slice(5)
    await finish('d1', [ahead!], 0, notBegun)
    expect(await counts()).toMatchObject({ running: 5, scheduled: 1 })
    await moveDue(bench.partition, { limit: 10 })
    await finish('d1', jobs.slice(0, 5), 0)
    const again = await take('d2', { want: 100, concurrency: 100 })
    expect(again.jobs.find(({ id }) => id === ahead!.id)).toMatchObject({ attempt: 1, epoch: 2 })
  })

  it('ends a prefetched job as cancelled', async () => {
    await add(100)
    const { jobs } = await take('d1', { want: 5, prefetch: 1 })
    const [ahead] = jobs.slice(5)
    expect(await cancel(bench.partition, { id: ahead!.id, by: { who: 'ada' } })).toMatchObject({ kind: 'cancelling' })
    await finish('d1', [ahead!], 0, notBegun)
    expect(await counts()).toMatchObject({ cancelled: 1, running: 5, scheduled: 0 })
    expect(await findJob(bench.partition, ahead!.id)).toBeUndefined()
  })
})

describe('what a dead consumer had prefetched', () => {
  it('is flagged for who takes over, which has it prefetched then, and nobody goes beyond the limit', async () => {
    for (const name of ['d2', 'd3']) await bench.join(name)
    await add(100)
    await take('d1', { want: 3, prefetch: 3 })
    await take('d2', { want: 2, prefetch: 2 })
    await leave('d1')
    const taken = await takeOver(bench.partition, { consumer: 'd2', limit: 100 })
    expect(taken.map(({ prefetched }) => prefetched)).toEqual([false, false, false, true, true, true])
    expect(await noted(), 'its own two, and those three').toEqual({ d2: '5' })
    expect(await counts()).toMatchObject({ running: 5 })
    expect(await ask('d3', { want: 5 })).toEqual({ kind: 'full' })
    await finish('d2', taken.slice(0, 3), 5)
    expect(await take('d2', { want: 5, prefetched: 5 })).toMatchObject({ starts: 3 })
    expect(await ask('d3', { want: 5 })).toEqual({ kind: 'full' })
  })

  it('is flagged last where it is taken over in pieces, by several', async () => {
    for (const name of ['d2', 'd3']) await bench.join(name)
    await add(100)
    await take('d1', { want: 3, prefetch: 3 })
    await leave('d1')
    const first = await takeOver(bench.partition, { consumer: 'd2', limit: 4 })
    expect(first.map(({ prefetched }) => prefetched)).toEqual([false, false, false, true])
    expect(await noted()).toEqual({ d1: '2', d2: '1' })
    expect(await counts()).toMatchObject({ running: 3 })
    const rest = await takeOver(bench.partition, { consumer: 'd3', limit: 4 })
    expect(rest.map(({ prefetched }) => prefetched)).toEqual([true, true])
    expect(await noted()).toEqual({ d2: '1', d3: '2' })
    expect(await counts()).toMatchObject({ running: 3 })
  })

  it('counts as prefetched, and no more, while nobody has come to it', async () => {
    await bench.join('d2')
    await add(100)
    await take('d1', { want: 3, prefetch: 3 })
    await leave('d1')
    expect(await take('d2', { want: 5 })).toMatchObject({ starts: 2 })
  })

  it('is buried or cancelled like what ran, and no number of it stays behind', async () => {
    await bench.join('d2')
    await add(100)
    const { jobs } = await take('d1', { want: 3, prefetch: 2 })
    await cancel(bench.partition, { id: jobs[4]!.id, by: { who: 'ada' } })
    await leave('d1')
    await takeOver(bench.partition, { consumer: 'd2', limit: 100, maxTakeovers: 1 })
    expect(await counts()).toMatchObject({ dead: 4, cancelled: 1, running: 0 })
    expect(await noted()).toEqual({})
  })
})

describe('what is prefetched', () => {
  it('counts as waiting, and not as running', async () => {
    await add(100)
    await take('d1', { want: 5, prefetch: 4 })
    expect(await counts()).toMatchObject({ waiting: 95, running: 5, accepted: 100 })
  })

  it('does not count as running where a job is explained', async () => {
    await add(99)
    const [last] = await add(1)
    await take('d1', { want: 5, prefetch: 4 })
    expect(await findJob(bench.partition, last!)).toMatchObject({ state: 'waiting', queueRunning: 5 })
  })

  it('leaves no key behind when its queue is closed', async () => {
    await bench.join('d2')
    await add(20)
    const { jobs } = await take('d1', { want: 5, prefetch: 5 })
    await finish('d1', jobs, 5)
    const rest = await take('d2', { want: 100, concurrency: 100 })
    await finish('d2', rest.jobs)
    expect(await noted(), 'which it never took back').toEqual({ d1: '5' })
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('closed')
    expect(await bench.partition.redis.keys('*prefetched*')).toEqual([])
  })
})

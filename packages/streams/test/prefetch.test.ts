import { describe, expect, it } from 'vitest'
import { type ClaimedJob, type Limits, lease, pause, readLogRange, takeOver } from '../src/index.ts'
import { ADDRESS } from './fixture.ts'
import { LIMIT, limited, payloads, usePrefetch } from './prefetch-fixture.ts'

const { add, apply, ask, bench, counts, finish, noted, take } = usePrefetch()

describe('a claim that prefetches', () => {
  it('says how many attempts may begin, brings the others beside them, and notes how many those are', async () => {
    await add(100)
    const first = await take('d1', { want: 5, prefetch: 3 })
    expect(first).toMatchObject({ starts: 5 })
    expect(payloads(first.jobs)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(await noted()).toEqual({ d1: '3' })
  })

  it('is said in the log before anything is sent, with what begins later', async () => {
    const ids = await add(100)
    await take('d1', { want: 2, prefetch: 2 })
    const events = await readLogRange(bench.partition, { count: 1000 })
    const started = events.filter(({ type }) => type === 'job.started')
    expect(started.map(({ entityId }) => entityId)).toEqual(ids.slice(0, 4))
    expect(started.map(({ data }) => JSON.parse(data).prefetched ?? false)).toEqual([false, false, true, true])
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
    expect(await ask('d1', { prefetch: 5, underWay: 5 })).toMatchObject({ kind: 'claimed', starts: 0 })
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

  it('is not exceeded where one that lost some of its jobs says how many it has prefetched', async () => {
    await bench.join('d2')
    await add(100)
    const { jobs } = await take('d1', { want: 3, prefetch: 3 })
    await bench.partition.redis.zadd(bench.partition.keys.consumers, '1', 'd1')
    expect(await takeOver(bench.partition, { consumer: 'd2', limit: 2 })).toHaveLength(2)
    // The name is gone with the first of them: it cannot be renewed, and what is said under it counts for nothing.
    expect(await lease(bench.partition, { action: 'renew', consumer: 'd1', ttlMs: 60_000 })).toEqual({ kind: 'lost' })
    expect(await finish('d1', jobs.slice(3), 6)).toEqual(['late', 'late', 'late'])
    expect(await takeOver(bench.partition, { consumer: 'd2', limit: 10 })).toHaveLength(4)
    expect(await noted()).toEqual({ d2: '3' })
    expect(await take('d2', { want: 5, prefetched: 3 })).toMatchObject({ starts: 2 })
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

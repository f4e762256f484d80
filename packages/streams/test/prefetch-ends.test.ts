import { describe, expect, it } from 'vitest'
import { cancel, closeQueue, findJob, moveDue, takeOver } from '../src/index.ts'
import { ADDRESS } from './fixture.ts'
import { notBegun, usePrefetch } from './prefetch-fixture.ts'

const { add, ask, bench, counts, finish, leave, noted, take } = usePrefetch()

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

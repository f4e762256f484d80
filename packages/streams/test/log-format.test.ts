import { describe, expect, it } from 'vitest'
import { countLogged, emit, enqueue, findJob, type NewJob, readLogPage, readLogRange, trimLog } from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'one' })
const job = (more: Partial<NewJob> = {}): NewJob => ({ address: ADDRESS, lane: 'normal', data: '{"to":1}', ...more })
const order = (entityId: string) =>
  ({ kind: 'event', type: 'order.paid', namespace: 'shop', entityId, data: '{"n":1}' }) as const
const entriesOf = () => bench.partition.redis.xrange(bench.partition.keys.log, '-', '+')

describe('an entry of the log', () => {
  it('is pairs: kind and type, namespace and queue, then entity and data of each fact', async () => {
    await emit(bench.partition, [order('order-1'), order('order-2')])
    const [, fields] = (await entriesOf()).at(-1)!
    expect(fields).toEqual(['event', 'order.paid', 'shop', '', 'order-1', '{"n":1}', 'order-2', '{"n":1}'])
  })

  it('has a plain job as its lane and payload, and is read as the same event as one that brings more', async () => {
    const large = JSON.stringify('text '.repeat(2000))
    await enqueue(bench.partition, [job({ lane: 'high' }), job({ data: large })])
    await enqueue(bench.partition, [job({ lane: 'low', meta: { retries: 3 } })])
    const [high, normal, low] = (await entriesOf()).slice(-3).map(([, fields]) => fields)
    expect(high).toEqual(['job', 'job.enqueued', 'shop', 'mail', 'high', '{"to":1}'])
    expect(normal?.slice(4)).toEqual(['normal', expect.stringMatching(/^~zstd:/)])
    expect(low?.slice(4)).toEqual(['', '{"lane":"low","meta":{"retries":3},"data":{"to":1}}'])
    expect((await readLogRange(bench.partition)).slice(-3).map(({ data }) => data)).toEqual([
      '{"lane":"high","data":{"to":1}}',
      `{"lane":"normal","data":${large}}`,
      '{"lane":"low","meta":{"retries":3},"data":{"to":1}}',
    ])
  })

  it('names the same jobs as the lane does, wherever in a millisecond they begin', async () => {
    const calls = Array.from({ length: 40 }, (_, n) => enqueue(bench.partition, Array(1 + (n % 13)).fill(job())))
    const ids = (await Promise.all(calls)).flat().map(({ id }) => id)
    const logged = await readLogRange(bench.partition)
    expect(logged.filter(({ kind }) => kind === 'job').map(({ entityId }) => entityId)).toEqual(ids)
    expect(new Set(logged.map(({ position }) => position.split('-')[0])).size, 'milliseconds').toBeLessThan(ids.length)
    expect((await bench.take('one', { want: 500, concurrency: 500 })).map(({ id }) => id)).toEqual(ids)
  })
})

describe('a log in which each value has its name before it', () => {
  /** As it was written before entries were pairs: with names, and a plain job as an object. */
  const withNames = async () => {
    const { redis, keys } = bench.partition
    const entries = await entriesOf()
    const read = await readLogRange(bench.partition)
    const dataAt = new Map(read.map(({ position, data }) => [position, data]))
    await redis.del(keys.log)
    for (const [id, [kind, type, ns, queue, ...facts]] of entries) {
      const [ms, seq] = id.split('-')
      const named = ['kind', kind, 'type', type, 'ns', ns, 'queue', queue] as string[]
      for (let at = 0; at < facts.length; at += 2) {
        const entity = type === 'job.enqueued' && queue !== '' ? '' : (facts[at] as string)
        const data = dataAt.get(`${ms}-${Number(seq) + at / 2}`) as string
        named.push('entity', entity, 'data', data)
      }
      await redis.xadd(keys.log, id, ...named)
    }
    return read
  }

  it('is read as the same events, from anywhere in it', async () => {
    await enqueue(bench.partition, [job(), job({ lane: 'high' }), job({ meta: { retries: 1 } })])
    await emit(bench.partition, [order('order-1'), order('entity'), order('data')])
    const before = await withNames()
    expect((await entriesOf())[0]?.[1][0]).toBe('kind')
    expect(await readLogRange(bench.partition)).toEqual(before)
    for (const [index, { position }] of before.entries()) {
      const page = await readLogPage(bench.partition, { after: position, count: 100 })
      expect(page.events).toEqual(before.slice(index + 1))
    }
    const passOver = { kinds: ['job' as const], types: [] }
    const events = before.filter(({ kind }) => kind !== 'job')
    expect((await readLogPage(bench.partition, { after: '0-0', count: 100, passOver })).events).toEqual(events)
    expect(await countLogged(bench.partition, { after: '0-0', count: 9, types: ['order.*'] })).toMatchObject({
      events: 3,
    })
  })

  it('says where a job is, and is trimmed by facts', async () => {
    const ids = await bench.add(...Array.from({ length: 250 }, (_, n) => n))
    await withNames()
    expect(await findJob(bench.partition, ids[130]!)).toMatchObject({ state: 'waiting', address: ADDRESS, ahead: 130 })
    const { redis, keys } = bench.partition
    await redis.xgroup('CREATE', keys.log, 'audit', '$')
    const entries = await redis.xlen(keys.log)
    expect(await trimLog(bench.partition, { keep: 150 })).toBe(0)
    expect(await redis.xlen(keys.log)).toBe(entries)
  })
})

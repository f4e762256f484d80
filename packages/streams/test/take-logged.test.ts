import { idFromPosition } from '@millrace/contracts'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  emit,
  imbalance,
  logEnd,
  openCursor,
  openQueues,
  type Partition,
  readBehind,
  readCounts,
  readLogRange,
  syncSubscriptions,
  type TakeLogged,
  takeLogged,
} from '../src/index.ts'
import { inLane, useBench } from './fixture.ts'

const ADDRESS = 'shop/subscription:orders'
const bench = useBench({ consumer: 'c1' })
let partition: Partition
beforeEach(async () => {
  partition = bench.partition
  await openQueues(partition, [{ address: ADDRESS }])
})

const publish = (...events: readonly { type: string; data?: string }[]) =>
  emit(
    partition,
    events.map(({ type, data }, index) => ({
      ...{ kind: 'event' as const, type, namespace: 'shop', entityId: 'e' },
      data: data ?? JSON.stringify({ type, index }),
    })),
  )
/** The common cursor stands at the log's end, and the subscription begins at a position. */
const begin = async (position = '0-0') => {
  await openCursor(partition, partition)
  await syncSubscriptions(partition, {
    revision: 1,
    subscriptions: [{ address: ADDRESS, since: 1, starts: { [partition.number]: position } }],
  })
}
const take = (call: Partial<TakeLogged> = {}) =>
  takeLogged(partition, {
    from: '0-0',
    revision: 1,
    alone: ADDRESS,
    maxWaiting: 10_000,
    count: 500,
    types: [],
    ...call,
  })
const bodies = async () => (await inLane(partition, ADDRESS)).map(({ data }) => data)
const cursor = async () => (await readBehind(partition))[0]?.position

describe('a subscription that asks for types alone', () => {
  it.each([
    [['order.paid'], 'order.paid'],
    [['order.*'], 'order.paid order.line.added'],
    [['order.line.*', 'mail'], 'order.line.added mail'],
    [[], 'order.paid orders order.line.added mail'],
    [['*'], 'order.paid orders order.line.added mail'],
    [['none'], ''],
  ])('of %j gets these, in their order, and goes with the common cursor then', async (types, expected) => {
    await publish(...['order.paid', 'orders', 'order.line.added', 'mail'].map((type) => ({ type })))
    await emit(partition, [{ kind: 'audit', type: 'order.paid', namespace: 'shop', entityId: 'e', data: '{}' }])
    await begin()
    const wanted = expected.split(' ').filter(Boolean)
    expect(await take({ types })).toMatchObject({ kind: 'routed', jobs: wanted.length, left: 0, atEnd: true })
    expect((await bodies()).map((body) => JSON.parse(body as string).type)).toEqual(wanted)
    expect(await readBehind(partition)).toEqual([])
    const [counts] = await readCounts(partition, [ADDRESS])
    expect([counts?.waiting, counts && imbalance(counts)]).toEqual([wanted.length, 0])
  })

  it('gets every event once, whatever part of an entry and of the log a step takes, and each job names its event', async () => {
    for (let n = 0; n < 7; n++)
      await publish(...Array.from({ length: 60 + n * 30 }, (_, index) => ({ type: index % 3 === 0 ? 'a' : 'b' })))
    const published = (await readLogRange(partition)).filter(({ type }) => type === 'a')
    await begin()
    const { position: end } = await logEnd(partition)
    for (let steps = 0, atEnd = false; !atEnd; steps++) {
      expect(steps).toBeLessThan(100)
      const taken = await take({ from: (await cursor()) ?? end, types: ['a'], count: 17 })
      expect(taken.kind).toBe('routed')
      atEnd = taken.kind === 'routed' && taken.atEnd
    }
    expect(await bodies()).toEqual(published.map(({ data }) => data))
    const noted = (await readLogRange(partition)).filter(({ type }) => type === 'job.enqueued')
    expect(noted.map(({ data }) => JSON.parse(data).event)).toEqual(
      published.map(({ position }) => idFromPosition('evt', position, 0)),
    )
  })

  it('gets as many as there is room for, and the rest when there is again', async () => {
    await publish(...Array.from({ length: 9 }, () => ({ type: 'a' })))
    await begin()
    expect(await take({ maxWaiting: 4 })).toMatchObject({ kind: 'routed', jobs: 4, left: 1, atEnd: false })
    const at = (await cursor()) as string
    expect(await take({ maxWaiting: 4, from: at })).toEqual({ kind: 'full' })
    expect(await take({ maxWaiting: 100, from: at })).toMatchObject({ kind: 'routed', jobs: 5, left: 0, atEnd: true })
    expect((await bodies()).map((body) => JSON.parse(body as string).index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
  })

  it.each([
    ['has a trace to pass on', JSON.stringify({ traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` })],
    ['is so large that it is to be packed', JSON.stringify({ large: 'x'.repeat(4096) })],
  ])('leaves an event to its caller that %s, and goes on behind it', async (_what, data) => {
    await publish({ type: 'a' }, { type: 'a' }, { type: 'b', data }, { type: 'a', data }, { type: 'a' })
    const [, second, , fourth] = (await readLogRange(partition)).map(({ position }) => position)
    await begin()
    expect(await take({ types: ['a'] })).toMatchObject({ kind: 'routed', jobs: 2, left: 0, atEnd: false })
    expect(await cursor()).toBe(second)
    expect(await take({ types: ['a'], from: second as string })).toEqual({ kind: 'choose' })
    expect(await cursor()).toBe(second)
    await begin(fourth)
    await partition.redis.hset(partition.keys.behind, `${ADDRESS} 0`, fourth as string)
    expect(await take({ types: ['a'], from: fourth as string })).toMatchObject({ kind: 'routed', jobs: 1, atEnd: true })
  })

  it('is told when what comes next may have been trimmed, when it is elsewhere and when it has changed', async () => {
    await publish({ type: 'a' })
    await publish({ type: 'a' })
    const [first] = (await readLogRange(partition)).map(({ position }) => position)
    await begin()
    expect(await take({ from: first as string })).toEqual({ kind: 'moved' })
    await partition.redis.xtrim(partition.keys.log, 'MAXLEN', 1)
    expect(await take()).toEqual({ kind: 'past' })
    await syncSubscriptions(partition, { revision: 2, subscriptions: [] })
    expect(await take()).toEqual({ kind: 'stale' })
    expect(await bodies()).toEqual([])
  })

  it('has nothing to get from a log in which nothing was ever written', async () => {
    await partition.redis.del(partition.keys.log)
    await begin()
    await partition.redis.hset(partition.keys.behind, `${ADDRESS} 0`, '0-0')
    expect(await take()).toMatchObject({ kind: 'routed', jobs: 0, left: 0, atEnd: true })
  })
})

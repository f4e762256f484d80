import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  cancel,
  claim,
  closeQueue,
  createPartitions,
  enqueue,
  type FanOut,
  fanOut,
  imbalance,
  lease,
  logEnd,
  moveSubscription,
  openCursor,
  openQueues,
  type Partition,
  pause,
  readBehind,
  readCounts,
  readLogBackwards,
  readLogPage,
  readLogRange,
  readRouted,
  syncSubscriptions,
} from '../src/index.ts'
import { inLane } from './fixture.ts'

const [ALL, SLOW] = ['shop/subscription:all', 'shop/subscription:slow']
const SOURCE = 7
const MOVED = { who: 'ada', why: 'a bug', to: 'earliest' }

let server: RedisServer
let partition: Partition
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())
beforeEach(async () => {
  await server.flush()
  partition = createPartitions(server.client(), 1).of('')
  await openQueues(partition, [{ address: ALL }, { address: SLOW }])
})

const sync = (starts: Record<string, string>, { revision = 1, since = 1 } = {}) =>
  syncSubscriptions(partition, {
    revision,
    subscriptions: Object.entries(starts).map(([address, position]) => ({
      address,
      since,
      starts: { [SOURCE]: position },
    })),
  })
const route = (call: Partial<FanOut>) =>
  fanOut(partition, {
    source: SOURCE,
    from: '0-0',
    to: '9-0',
    entries: 1,
    revision: 1,
    maxWaiting: 100,
    events: [],
    ...call,
  })
const event = (position: string, ...addresses: string[]) => ({
  eventId: `evt_${position}`,
  position,
  json: `{"id":"${position}"}`,
  jobs: addresses.map((address) => ({ address, meta: '' })),
})
/** A common cursor at 0-0, and subscriptions that go with it. */
const begin = async (...addresses: string[]) => {
  await partition.redis.hset(partition.keys.routed, SOURCE, '0-0')
  await sync(Object.fromEntries(addresses.map((address) => [address, '0-0'])))
  for (const address of addresses) await route({ alone: address, to: '0-0' })
}
/** Which events became jobs of a subscription, in their order, with what was noted beside them. */
const jobsOf = async (address: string) => {
  const events = await readLogRange(partition)
  const mine = events.filter(({ type, queue }) => type === 'job.enqueued' && `shop/${queue}` === address)
  return mine.map(({ data }) => {
    const { event, meta } = JSON.parse(data) as { event: string; meta?: { replay?: string } }
    return meta?.replay ? `${event} ${meta.replay}` : event
  })
}
const behind = async () =>
  Object.fromEntries((await readBehind(partition)).map(({ address, position }) => [address, position]))

describe('events that are put into subscriptions', () => {
  it('become a job each, and the cursor moves with them', async () => {
    await begin(ALL, SLOW)
    expect(await behind()).toEqual({})
    expect(await route({ events: [event('1-0', ALL, SLOW), event('2-0', ALL)], to: '3-0', entries: 4 })).toEqual({
      kind: 'routed',
      jobs: 3,
      left: 0,
    })
    expect([await jobsOf(ALL), await jobsOf(SLOW)]).toEqual([['evt_1-0', 'evt_2-0'], ['evt_1-0']])
    expect(await readRouted(partition)).toEqual(new Map([[SOURCE, { position: '3-0', entriesRead: 4 }]]))
    const counts = await readCounts(partition, [ALL, SLOW])
    expect(counts.map((each) => [each.waiting, imbalance(each)])).toEqual([
      [2, 0],
      [1, 0],
    ])
    expect((await inLane(partition, ALL)).map(({ data }) => data)).toEqual(['{"id":"1-0"}', '{"id":"2-0"}'])
  })

  it('become none when another router was quicker, or subscriptions have changed', async () => {
    await begin(ALL)
    await route({ events: [event('1-0', ALL)], to: '1-0' })
    expect(await route({ events: [event('1-0', ALL)], to: '2-0' })).toEqual({ kind: 'moved', position: '1-0' })
    await sync({ [ALL]: '0-0' }, { revision: 2 })
    expect(await route({ events: [event('2-0', ALL)], from: '1-0' })).toEqual({ kind: 'stale' })
    expect(await sync({}, { revision: 1 })).toBe('stale')
    expect(await jobsOf(ALL)).toEqual(['evt_1-0'])
  })

  it('are left to a subscription that is behind, until it has caught up', async () => {
    await begin(ALL)
    await route({ events: [event('5-0', ALL)], to: '5-0' })
    await sync({ [ALL]: '0-0', [SLOW]: '2-0' }, { revision: 2 })
    const both = { revision: 2, from: '5-0', to: '6-0', events: [event('6-0', ALL, SLOW)] }
    expect(await route(both)).toEqual({ kind: 'routed', jobs: 1, left: 1 })
    expect(await behind()).toEqual({ [SLOW]: '2-0' })

    const alone = { revision: 2, alone: SLOW }
    await route({ ...alone, from: '2-0', to: '5-0', events: [event('5-0', SLOW)] })
    expect(await behind()).toEqual({ [SLOW]: '5-0' })
    expect(await route({ ...alone, from: '2-0', to: '5-0', events: [event('5-0', SLOW)] })).toMatchObject({
      kind: 'moved',
    })
    await route({ ...alone, from: '5-0', to: '6-0', events: [event('6-0', SLOW)] })
    expect(await behind()).toEqual({})
    await route({ revision: 2, from: '6-0', to: '7-0', events: [event('7-0', ALL, SLOW)] })
    expect(await jobsOf(SLOW)).toEqual(['evt_5-0', 'evt_6-0', 'evt_7-0'])
    expect(await jobsOf(ALL)).toEqual(['evt_5-0', 'evt_6-0', 'evt_7-0'])
  })

  it('are not given twice to a subscription that is ahead', async () => {
    await begin(ALL)
    await sync({ [ALL]: '0-0', [SLOW]: '0-0' }, { revision: 2 })
    await route({ revision: 2, alone: SLOW, to: '3-0', events: [event('2-0', SLOW), event('3-0', SLOW)] })
    const events = ['2-0', '3-0', '4-0'].map((position) => event(position, SLOW))
    expect(await route({ revision: 2, to: '4-0', events })).toEqual({ kind: 'routed', jobs: 1, left: 2 })
    expect(await behind()).toEqual({})
    expect(await jobsOf(SLOW)).toEqual(['evt_2-0', 'evt_3-0', 'evt_4-0'])
  })

  it('stay in the log for a subscription that has enough waiting', async () => {
    await begin(ALL, SLOW)
    const three = ['1-0', '2-0', '3-0'].map((position) => event(position, SLOW))
    expect(await route({ events: three, to: '3-0', maxWaiting: 2 })).toEqual({ kind: 'routed', jobs: 2, left: 1 })
    expect(await behind()).toEqual({ [SLOW]: '2-0' })
    const next = { from: '2-0', to: '3-0', maxWaiting: 2 }
    expect(await route({ ...next, from: '3-0', to: '4-0', events: [event('4-0', ALL, SLOW)] })).toMatchObject({
      left: 1,
    })
    expect(await route({ ...next, alone: SLOW, events: [event('3-0', SLOW)] })).toEqual({ kind: 'full' })
    expect(await route({ ...next, maxWaiting: 3, alone: SLOW, events: [event('3-0', SLOW)] })).toMatchObject({
      jobs: 1,
    })
    expect(await jobsOf(SLOW)).toEqual(['evt_1-0', 'evt_2-0', 'evt_3-0'])
  })

  it('never make more jobs wait than may, also for one that reads on its own', async () => {
    await begin(ALL)
    await sync({ [ALL]: '0-0', [SLOW]: '0-0' }, { revision: 2 })
    const four = ['1-0', '2-0', '3-0', '4-0'].map((position) => event(position, SLOW))
    const alone = { revision: 2, alone: SLOW, to: '9-0', maxWaiting: 3 }
    expect(await route({ ...alone, events: four })).toEqual({ kind: 'routed', jobs: 3, left: 1 })
    expect(await behind()).toEqual({ [SLOW]: '3-0' })
    expect(await route({ ...alone, from: '3-0', events: four.slice(3) })).toEqual({ kind: 'full' })
    // Ahead of the common cursor, without room: what lies behind its own cursor is still left to it.
    expect(await route({ revision: 2, to: '4-0', maxWaiting: 3, events: four })).toMatchObject({ jobs: 0, left: 4 })
    expect(await behind()).toEqual({ [SLOW]: '3-0' })
    expect(await route({ ...alone, maxWaiting: 4, from: '3-0', to: '4-0', events: four.slice(3) })).toMatchObject({
      jobs: 1,
    })
    expect(await jobsOf(SLOW)).toEqual(['evt_1-0', 'evt_2-0', 'evt_3-0', 'evt_4-0'])
    expect(await behind()).toEqual({})
  })

  it('stay in the log for a queue that takes nothing: closed, or drained', async () => {
    await begin(ALL, SLOW)
    expect(await closeQueue(partition, SLOW)).toBe('closed')
    await pause(partition, { action: 'drain', address: ALL, by: { who: 'ann', at: '' } })
    expect(await route({ events: [event('1-0', ALL, SLOW)] })).toEqual({ kind: 'routed', jobs: 0, left: 2 })
    expect(await behind()).toEqual({ [ALL]: '0-0', [SLOW]: '0-0' })
    expect(await route({ alone: SLOW, events: [event('1-0', SLOW)] })).toEqual({ kind: 'full' })
    await openQueues(partition, [{ address: SLOW }])
    await pause(partition, { action: 'resume', address: ALL, by: { who: 'ann', at: '' } })
    for (const alone of [ALL, SLOW]) await route({ alone, events: [event('1-0', alone)] })
    expect([await jobsOf(ALL), await jobsOf(SLOW)]).toEqual([['evt_1-0'], ['evt_1-0']])
    expect(await behind()).toEqual({})
  })

  it('find room where a job that waited was cancelled', async () => {
    await begin(ALL)
    const three = ['1-0', '2-0', '3-0'].map((position) => event(position, ALL))
    await route({ events: three, to: '3-0', maxWaiting: 3 })
    const [, second] = await inLane(partition, ALL)
    expect(await cancel(partition, { id: second?.id ?? '', by: { who: 'ann' } })).toMatchObject({ kind: 'cancelled' })
    const next = { from: '3-0', to: '5-0', events: [event('4-0', ALL), event('5-0', ALL)], maxWaiting: 3 }
    expect(await route(next)).toMatchObject({ jobs: 1, left: 1 })
  })

  it('lie packed in the lane when they are large, and are claimed as they were', async () => {
    await begin(ALL)
    const json = JSON.stringify({ id: 'large', data: 'the same words again and again '.repeat(400) })
    await route({ events: [{ ...event('1-0', ALL), json }] })
    expect((await inLane(partition, ALL))[0]?.data).toMatch(/^~zstd:/)
    await lease(partition, { action: 'join', consumer: 'one', ttlMs: 60_000 })
    const claimed = await claim(partition, { consumer: 'one', address: ALL, concurrency: 1, want: 1 })
    expect(claimed.kind === 'claimed' && claimed.jobs[0]?.data).toBe(json)
  })

  it('are marked when the subscription was taken back behind them', async () => {
    await begin(ALL)
    await route({ events: [event('1-0', ALL), event('2-0', ALL)], to: '2-0' })
    expect(await moveSubscription(partition, { address: ALL, positions: { [SOURCE]: '1-0' }, event: MOVED })).toBe(
      'moved',
    )
    expect(await moveSubscription(partition, { address: SLOW, positions: {}, event: MOVED })).toBe('unknown')
    await route({ from: '2-0', to: '3-0', events: [event('3-0', ALL)] })
    await route({ alone: ALL, from: '1-0', to: '2-0', events: [event('2-0', ALL)] })
    await route({ alone: ALL, from: '2-0', to: '3-0', events: [event('3-0', ALL)] })
    expect(await jobsOf(ALL)).toEqual(['evt_1-0', 'evt_2-0', 'evt_2-0 moved', 'evt_3-0'])
    expect(await behind()).toEqual({})
  })
})

describe('a partition that is told of its subscriptions', () => {
  it('begins what is new, begins anew what was made again, and forgets the rest', async () => {
    await sync({ [ALL]: '1-0', [SLOW]: '2-0' })
    expect(await behind()).toEqual({ [ALL]: '1-0', [SLOW]: '2-0' })
    await sync({ [ALL]: '5-0', [SLOW]: '6-0' }, { revision: 2 })
    expect(await behind()).toEqual({ [ALL]: '1-0', [SLOW]: '2-0' })
    await sync({ [ALL]: '5-0' }, { revision: 3, since: 3 })
    expect(await behind()).toEqual({ [ALL]: '5-0' })
  })

  it('marks what it gives again to one that was removed and made again before it was told of either', async () => {
    await begin(ALL)
    const [second, third] = [event('2-0', ALL), event('3-0', ALL)]
    // It was made again behind 1-0, and a router that knew the first one went on.
    await route({ events: [event('1-0', ALL), second], to: '2-0' })
    await sync({ [ALL]: '1-0' }, { revision: 3, since: 3 })
    expect(await behind()).toEqual({ [ALL]: '1-0' })
    await route({ revision: 3, from: '2-0', to: '3-0', events: [third] })
    await route({ revision: 3, alone: ALL, from: '1-0', to: '3-0', events: [second, third] })
    expect(await jobsOf(ALL)).toEqual(['evt_1-0', 'evt_2-0', 'evt_2-0 moved', 'evt_3-0'])
  })
})

it('opens the cursor of a log at its end, once', async () => {
  const { redis, keys } = partition
  expect(await logEnd(createPartitions(redis, 4).byNumber(3)!)).toEqual({ position: '0-0', entriesRead: 0 })
  await redis.xadd(keys.log, '5-1', 'kind', 'x')
  expect(await openCursor(partition, partition)).toEqual({ position: '5-1', entriesRead: 1 })
  await redis.xadd(keys.log, '6-0', 'kind', 'x')
  expect(await openCursor(partition, partition)).toEqual({ position: '5-1', entriesRead: 1 })
})

it('reads on behind a fact in the middle of an entry, and backwards fact by fact', async () => {
  const address = 'shop/mail'
  await openQueues(partition, [{ address }])
  await enqueue(
    partition,
    [1, 2, 3].map((number) => ({ address, lane: 'normal' as const, data: String(number) })),
  )
  await enqueue(partition, [{ address, lane: 'normal', data: '4' }])
  const all = await readLogRange(partition)
  expect(all.map(({ endsEntry }) => endsEntry)).toEqual([false, false, true, true])
  const positions = all.map(({ position }) => position)
  const behindOf = async (after: string) =>
    (await readLogPage(partition, { after, count: 100 })).events.map(({ position }) => position)
  expect(await behindOf('0-0')).toEqual(positions)
  expect(await behindOf(positions[0]!)).toEqual(positions.slice(1))
  expect(await behindOf(positions[1]!)).toEqual(positions.slice(2))
  expect(await behindOf(positions[2]!)).toEqual(positions.slice(3))
  expect((await readLogBackwards(partition)).map(({ position }) => position)).toEqual(positions.toReversed())
})

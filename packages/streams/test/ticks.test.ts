import { describe, expect, it } from 'vitest'
import {
  claim,
  dueTicks,
  findJob,
  openQueues,
  pauseSchedule,
  plan,
  readLogRange,
  readPlans,
  removePlan,
  tick,
} from '../src/index.ts'
import { due, fireAt, nameOf, planOf, SCHEDULE, useTicks } from './tick-fixture.ts'

const address = SCHEDULE
const ticks = useTicks()

describe('a plan', () => {
  it('is set once per rule: saying it again does not move the next time', async () => {
    expect(await ticks.planned(1000)).toBe('planned')
    expect(await ticks.planned(2000)).toBe('unchanged')
    expect(await ticks.nextOf()).toBe(1000)
    const later = Date.now() + 60_000
    expect(await ticks.planned(later, 'b')).toBe('planned')
    expect(await ticks.nextOf()).toBe(later)
    expect(await removePlan(ticks.partition, address)).toBe('removed')
    expect(await removePlan(ticks.partition, address)).toBe('unchanged')
  })

  it('whose rule changes while a time of the old one is due has that time in the ledger, as missed', async () => {
    await ticks.planned(1000)
    await ticks.planned(Date.now() + 60_000, 'b')
    expect(await ticks.rows()).toEqual([
      { atMs: 1000, kind: 'planned', state: 'missed', reason: 'changed', tz: '2026a' },
    ])
    expect(await ticks.run(due(1000, 2000)), 'the old rule fires no more').toEqual({ kind: 'stale' })
  })

  it('has all that was due of it in the ledger when it changes and when it ends, as it was counted for that plan', async () => {
    const { partition } = ticks
    await ticks.planned(1000)
    const due = { fromMs: 1000, toMs: 5000, count: 5 }
    await plan(partition, { address, rule: 'b', plan: planOf(2000), due })
    expect(await ticks.rows()).toMatchObject([{ atMs: 1000, toMs: 5000, count: 5, state: 'missed', reason: 'changed' }])
    expect(await removePlan(partition, address, due), 'that was counted for another one').toBe('removed')
    expect(await ticks.rows()).toMatchObject([{ atMs: 1000 }, { atMs: 2000, state: 'missed', reason: 'changed' }])
    expect((await ticks.rows())[1]).not.toHaveProperty('count')
  })

  it('that waits for its jitter when its rule changes is missed, and one that is to come is not', async () => {
    const { partition } = ticks
    const nowMs = Date.now()
    const waiting = { ...planOf(nowMs - 60_000), fireMs: nowMs + 60_000 }
    await plan(partition, { address, rule: 'a', plan: waiting })
    await ticks.planned(nowMs + 60_000, 'b')
    await ticks.planned(nowMs + 90_000, 'c')
    expect(await ticks.rows()).toMatchObject([{ atMs: nowMs - 60_000, state: 'missed', reason: 'changed' }])
  })

  it('as earlier versions kept it is read, planned anew and fires', async () => {
    const { redis, keys } = ticks.partition
    await redis.hset(keys.schedules, address, 'a')
    await redis.zadd(keys.ticks, 1000, address)
    expect((await readPlans(ticks.partition)).get(address)).toMatchObject({ rule: 'a', nominalMs: 1000, tz: '' })
    expect(await ticks.planned(5000)).toBe('unchanged')
    expect((await dueTicks(ticks.partition)).due, 'it waits for the planner').toEqual([])
    const again = { address, rule: 'a', plan: planOf(1000), movedFromMs: 1000 }
    expect(await plan(ticks.partition, again), 'as any planner says it, to whom its time zones are old').toBe(
      'unchanged',
    )
    expect((await dueTicks(ticks.partition)).due).toMatchObject([{ address, plan: { rule: 'a', nominalMs: 1000 } }])
    expect(await ticks.run(due(1000, 2000))).toMatchObject({ kind: 'done' })
    expect(await ticks.nextOf()).toBe(2000)
  })

  it('is moved by a newer time-zone database alone, and visibly', async () => {
    await ticks.planned(1000)
    const moveTo = (atMs: number, tz: string, movedFromMs = 1000) =>
      plan(ticks.partition, { address, rule: 'a', plan: planOf(atMs, tz), movedFromMs })
    expect(await moveTo(4000, '2025c')).toBe('unchanged')
    expect(await moveTo(4000, '2026b', 999)).toBe('unchanged')
    expect(await ticks.nextOf()).toBe(1000)
    expect(await moveTo(4000, '2026b')).toBe('moved')
    expect(await ticks.nextOf()).toBe(4000)
    expect(await moveTo(4000, '2026c', 4000), 'the same time by another database').toBe('unchanged')
    expect((await readPlans(ticks.partition)).get(address)?.tz).toBe('2026c')
    const moved = (await readLogRange(ticks.partition, { count: 100 })).filter(({ type }) => type === 'schedule.moved')
    expect(moved.map(({ data }) => JSON.parse(data))).toEqual([
      { fromMs: 1000, toMs: 4000, fromTz: '2026a', toTz: '2026b' },
    ])
  })
})

describe('a tick', () => {
  it('fires once, however many schedulers see the same due time', async () => {
    await ticks.planned(1000)
    const clients = Array.from({ length: 6 }, () => ({ ...ticks.partition, redis: ticks.server.client() }))
    const results = await Promise.all(clients.map((partition) => ticks.run(due(1000, 2000), partition)))
    expect(results.filter(({ kind }) => kind === 'done')).toHaveLength(1)
    expect(results.filter(({ kind }) => kind === 'stale')).toHaveLength(5)
    expect(await ticks.nextOf()).toBe(2000)
    expect(await ticks.types()).toEqual(['schedule.planned', 'schedule.fired', 'job.enqueued'])
    expect(await ticks.rows()).toMatchObject([{ atMs: 1000, state: 'fired', jobId: expect.stringMatching(/^job_/) }])
  })

  it("is due by the server's clock, not by that of who asks", async () => {
    const later = Date.now() + 60_000
    await ticks.planned(later)
    const early = await ticks.run(due(later, later + 1000))
    expect(early).toMatchObject({ kind: 'early' })
    expect(early.kind === 'early' && early.inMs).toBeGreaterThan(50_000)
    const look = await dueTicks(ticks.partition)
    expect(look.due).toEqual([])
    expect(look.nextInMs).toBe(later - look.nowMs)
    expect(await ticks.nextOf()).toBe(later)
    const ahead = await dueTicks(ticks.partition, { aheadMs: 60_000 })
    expect(ahead.due, 'seen ahead, for who wants to be ready').toMatchObject([{ address, plan: { fireMs: later } }])
    expect(ahead.nextInMs).toBeUndefined()
  })

  it('is late by what the server saw when it fired', async () => {
    const planned = Date.now() - 5000
    await ticks.planned(planned)
    const onTime = { ...fireAt(planned), fireMs: planned + 4500 }
    const late = { ...fireAt(planned + 1), fireMs: planned }
    await ticks.run(due(planned, planned + 60_000, { fires: [onTime, late] }))
    const [first, second] = await ticks.rows()
    expect(first).toMatchObject({ state: 'fired', lateMs: (first?.firedAtMs ?? 0) - onTime.fireMs })
    expect(second).toMatchObject({ state: 'late', lateMs: (second?.firedAtMs ?? 0) - planned })
  })

  it('that was decided for another plan, or twice in one call, fires once', async () => {
    await ticks.planned(1000)
    const { partition } = ticks
    const results = await tick(partition, [due(999, 2000), due(1000, 2000), due(1000, 2000)], { keep: 100 })
    expect(results.map(({ kind }) => kind)).toEqual(['stale', 'done', 'stale'])
    expect(await ticks.rows()).toHaveLength(1)
  })

  it('fires many schedules in one call, whose facts share their entries, and each job is found in its own queue', async () => {
    const { partition, bench } = ticks
    const addresses = [1, 2, 3].map((nth) => `shop/schedule:s${nth}`)
    await openQueues(
      partition,
      addresses.map((each) => ({ address: each })),
    )
    const calls = addresses.map((each) => ({ address: each, fires: [fireAt(1000), fireAt(2000)] }))
    const fired = (await tick(partition, calls, { keep: 100 })).flatMap((each) =>
      each.kind === 'done' ? each.fires.map((fire) => (fire.kind === 'fired' ? fire.id : '')) : [],
    )
    const events = await readLogRange(partition)
    const queues = addresses.flatMap((each) => [each, each].map((of) => of.slice('shop/'.length)))
    for (const [type, entities] of [
      ['schedule.fired', queues],
      ['job.enqueued', fired],
    ] as const) {
      const facts = events.filter((event) => event.type === type)
      expect(facts.map(({ queue }) => queue)).toEqual(queues)
      expect(facts.map(({ entityId }) => entityId)).toEqual(entities)
      expect(facts.map(({ endsEntry }) => endsEntry)).toEqual([false, false, false, false, false, true])
    }
    expect(await findJob(partition, fired[3]!)).toMatchObject({ state: 'waiting', address: addresses[1] })
    const claimed = await claim(partition, { consumer: 'd1', address: addresses[1]!, concurrency: 9, want: 9 })
    expect(claimed).toMatchObject({
      kind: 'claimed',
      jobs: [2, 3].map((nth) => ({ id: fired[nth], attempt: 1, epoch: 1 })),
    })
    expect(await bench.take('d1')).toEqual([])
  })

  it('does not fire a nominal time that has its job already', async () => {
    await ticks.planned(1000)
    const first = await ticks.run({ address, fires: [fireAt(1000)] })
    const second = await ticks.run(due(1000, 2000))
    expect(first).toMatchObject({ fires: [{ kind: 'fired' }] })
    expect(second).toMatchObject({
      fires: [{ kind: 'known', id: first.kind === 'done' && first.fires[0]?.kind === 'fired' && first.fires[0].id }],
    })
    expect(await ticks.rows()).toHaveLength(1)
  })

  it('by hand moves nothing; with an idempotency key it is one run', async () => {
    await ticks.planned(1000)
    const byHand = (atMs: number) => ticks.run({ address, fires: [fireAt(atMs)], onceKey: 'k1' })
    const first = await byHand(5000)
    expect(first).toMatchObject({ kind: 'done', fires: [{ kind: 'fired' }] })
    expect(await byHand(6000)).toMatchObject({ fires: [{ kind: 'replayed', name: nameOf(5000) }] })
    expect(await ticks.nextOf()).toBe(1000)
    expect(await ticks.rows()).toHaveLength(1)
  })

  it('keeps so many rows, the newest', async () => {
    for (const at of [1000, 2000, 3000, 4000])
      await tick(ticks.partition, [{ address, fires: [fireAt(at)] }], { keep: 3 })
    expect((await ticks.rows()).map(({ atMs }) => atMs)).toEqual([2000, 3000, 4000])
    const kept = await ticks.partition.redis.hgetall(ticks.partition.keys.ledgerRows(address))
    expect([Object.keys(kept).length, kept.forgotten], 'up to where rows had to go').toEqual([4, '1000'])
  })

  it('of a paused schedule is skipped, by hand it runs', async () => {
    expect(await pauseSchedule(ticks.partition, { action: 'pause', address, by: { who: 'ada' }, at: 'now' })).toBe(
      'unknown',
    )
    await ticks.planned(1000)
    const by = { who: 'ada', why: 'upstream is down' }
    expect(await pauseSchedule(ticks.partition, { action: 'pause', address, by, at: 'now' })).toBe('paused')
    expect(await pauseSchedule(ticks.partition, { action: 'pause', address, by, at: 'now' })).toBe('unchanged')
    expect(await ticks.run(due(1000, 2000))).toEqual({ kind: 'done', fires: [{ kind: 'skipped', reason: 'paused' }] })
    expect(await ticks.run({ address, fires: [fireAt(1500)] })).toMatchObject({ fires: [{ kind: 'fired' }] })
    expect(await pauseSchedule(ticks.partition, { action: 'resume', address, by, at: 'now' })).toBe('resumed')
    expect(await ticks.run(due(2000, 3000))).toMatchObject({ fires: [{ kind: 'fired' }] })
    expect(await ticks.rows()).toMatchObject([
      { atMs: 1000, state: 'skipped', reason: 'paused' },
      { atMs: 1500, state: 'fired' },
      { atMs: 2000, state: 'fired' },
    ])
    expect(await ticks.run(due(3000, 4000, { paused: true }))).toMatchObject({ fires: [{ reason: 'paused' }] })
  })
})

describe('a backfill', () => {
  it('advances by compare and set, together with what it fires', async () => {
    const step = (from: string, to: string, at: number, running = true) =>
      ticks.run({ address, fires: [fireAt(at)], advance: { id: 'b', ...(from && { from }), to, running } })
    expect(await step('', 's1', 1000)).toMatchObject({ kind: 'done' })
    expect(await step('', 's1', 2000), 'it was begun before').toEqual({ kind: 'stale' })
    expect(await step('s1', 's2', 2000)).toMatchObject({ kind: 'done' })
    expect(await step('s1', 's2', 2000), 'the answer was lost and it is asked again').toEqual({ kind: 'stale' })
    expect(await step('s2', 's3', 3000, false)).toMatchObject({ kind: 'done' })
    expect((await ticks.rows()).map(({ atMs }) => atMs)).toEqual([1000, 2000, 3000])
    expect(await ticks.partition.redis.zrangebyscore(ticks.partition.keys.backfillEnds, '+inf', '+inf')).toEqual([])
  })
})

import { describe, expect, it } from 'vitest'
import {
  cancel,
  imbalance,
  lease,
  openQueues,
  readCounts,
  readLastSuccesses,
  readLogRange,
  redrive,
  settle,
  settleLeased,
  takeOver,
} from '../src/index.ts'
import { DEAD, due, fireAt, nameOf, SCHEDULE, SUCCEEDED, useTicks } from './tick-fixture.ts'

const address = SCHEDULE
const ticks = useTicks()

describe('a run', () => {
  it('that succeeds is charged for once, and says so in its row', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    await ticks.end((await ticks.takeRun())!, SUCCEEDED)
    expect(await ticks.rows()).toMatchObject([{ outcome: 'succeeded', gas: 2, endedAtMs: expect.any(Number) }])
    expect((await readLastSuccesses(ticks.partition)).get(address)).toBeGreaterThan(0)
    const gas = (await readLogRange(ticks.partition, { count: 100 })).filter(({ type }) => type === 'gas.charged')
    expect(gas.map(({ data }) => JSON.parse(data))).toMatchObject([
      { tickId: `shop/nightly@${nameOf(1000)}`, tokens: 2 },
    ])
  })

  it('that dies costs nothing until it is redriven and succeeds', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    const job = (await ticks.takeRun())!
    await ticks.end(job, DEAD)
    expect(await ticks.rows()).toMatchObject([{ outcome: 'dead' }])
    expect(await ticks.types()).not.toContain('gas.charged')
    await redrive(ticks.partition, { address, limit: 1, who: 'ada' })
    expect((await ticks.rows())[0]).not.toHaveProperty('outcome')
    await ticks.end((await ticks.takeRun())!, SUCCEEDED)
    expect(await ticks.rows()).toMatchObject([{ outcome: 'succeeded', gas: 2 }])
    expect((await ticks.types()).filter((type) => type === 'gas.charged')).toHaveLength(1)
  })

  it('without gas costs nothing, and a job of a queue never does', async () => {
    await ticks.planned(1000)
    const free = fireAt(1000, { tick: { id: 't', name: nameOf(1000) } })
    await ticks.run(due(1000, 2000, { fires: [free] }))
    await ticks.end((await ticks.takeRun())!, SUCCEEDED)
    expect(await ticks.rows()).toMatchObject([{ outcome: 'succeeded', gas: 0 }])
    await ticks.bench.add({ meta: '"tick"' })
    const [job] = await ticks.bench.take('d1')
    await settle(ticks.partition, {
      consumer: 'd1',
      address: 'shop/mail',
      attempts: [{ job: job!, settlement: SUCCEEDED }],
    })
    expect(await ticks.types()).not.toContain('gas.charged')
  })

  it('that is cancelled before it started has ended', async () => {
    await ticks.planned(1000)
    const fired = await ticks.run(due(1000, 2000))
    const id = fired.kind === 'done' && fired.fires[0]?.kind === 'fired' ? fired.fires[0].id : ''
    await cancel(ticks.partition, { id, by: { who: 'ada' } })
    expect(await ticks.rows()).toMatchObject([{ outcome: 'cancelled' }])
    expect(await ticks.partition.redis.exists('{p0}:runs:shop/schedule:nightly')).toBe(0)
  })
})

describe('while the last run has not ended', () => {
  const key = { key: 'run' }
  const inOrder = async (overlap: 'queue' | 'cancel') => {
    await openQueues(ticks.partition, [{ address, limits: { keyConcurrency: 1, onDead: 'skip' } }])
    await ticks.planned(1000)
    return (atMs: number) => ticks.run(due(atMs, atMs + 1000, { fires: [fireAt(atMs, key)], overlap }))
  }
  const balanced = async () => expect((await readCounts(ticks.partition, [address])).map(imbalance)).toEqual([0])

  it('allow fires all the same', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    await ticks.run(due(2000, 3000))
    expect([await ticks.takeRun(), await ticks.takeRun()]).toMatchObject([
      { data: '{"at":1000}' },
      { data: '{"at":2000}' },
    ])
  })

  it('skip leaves the tick out, through retries and worker leases, until it has', async () => {
    await ticks.planned(1000)
    const fire = (atMs: number) => ticks.run(due(atMs, atMs + 1000, { overlap: 'skip' }))
    expect(await fire(1000)).toMatchObject({ fires: [{ kind: 'fired' }] })
    expect(await fire(2000), 'it waits').toMatchObject({ fires: [{ kind: 'skipped', reason: 'overlap' }] })
    const job = (await ticks.takeRun())!
    const policy = {
      retries: 1,
      retryDelayMs: 1,
      backoff: { type: 'fixed', factor: 1, maxDelayMs: 1, jitter: 0 },
    } as const
    await ticks.end(job, { kind: 'leased', leaseMs: 60_000, token: 'tok', durationMs: 1, policy })
    expect(await fire(3000), 'its worker has it').toMatchObject({ fires: [{ kind: 'skipped' }] })
    const leased = { address, attempt: 1, epoch: 1, policy }
    await settleLeased(ticks.partition, { id: job.id, token: 'tok', leased, word: { kind: 'succeeded' } })
    expect(await fire(4000)).toMatchObject({ fires: [{ kind: 'fired' }] })
    const again = (await ticks.takeRun())!
    await ticks.end(again, { kind: 'retry', delayMs: 60_000, reason: 'timeout', durationMs: 1, lastResponse: {} })
    expect(await fire(5000), 'it waits for its retry').toMatchObject({ fires: [{ kind: 'skipped' }] })
    await balanced()
  })

  it('skip does not wait for a run that is nowhere', async () => {
    await ticks.planned(1000)
    await ticks.partition.redis.hset('{p0}:runs:shop/schedule:nightly', 'job_0000000000000000000', 'x')
    expect(await ticks.run(due(1000, 2000, { overlap: 'skip' }))).toMatchObject({ fires: [{ kind: 'fired' }] })
  })

  it('queue starts the next run when it has, and not while it waits for its retry', async () => {
    const fire = await inOrder('queue')
    await fire(1000)
    await fire(2000)
    const first = (await ticks.takeRun())!
    expect(await ticks.takeRun()).toBeUndefined()
    await ticks.end(first, { kind: 'retry', delayMs: 60_000, reason: 'timeout', durationMs: 1, lastResponse: {} })
    expect(await ticks.takeRun()).toBeUndefined()
    await cancel(ticks.partition, { id: first.id, by: { who: 'ada' } })
    expect(await ticks.takeRun()).toMatchObject({ data: '{"at":2000}' })
    await balanced()
  })

  it('queue has a bound', async () => {
    const fire = await inOrder('queue')
    for (let at = 1; at <= 101; at++) expect(await fire(at * 1000)).toMatchObject({ fires: [{ kind: 'fired' }] })
    expect(await fire(102_000)).toMatchObject({ fires: [{ kind: 'skipped', reason: 'overlap' }] })
    await balanced()
  })

  it('cancel ends it, and the next one starts after its end', async () => {
    const fire = await inOrder('cancel')
    await fire(1000)
    const first = (await ticks.takeRun())!
    await fire(2000)
    expect(await ticks.takeRun(), 'the first is told, and has not ended').toBeUndefined()
    await ticks.end(first, { kind: 'cancelled', reason: 'cancelled', durationMs: 1, lastResponse: {} })
    expect(await ticks.rows()).toMatchObject([{ outcome: 'cancelled' }, { state: 'fired' }])
    await fire(3000)
    expect(await ticks.takeRun(), 'the second never started').toMatchObject({ data: '{"at":3000}' })
    await balanced()
  })
})

it('a run goes on while its dispatcher is gone, until it is taken over and ends', async () => {
  await ticks.planned(1000)
  await ticks.run(due(1000, 2000, { overlap: 'skip' }))
  await ticks.takeRun()
  await lease(ticks.partition, { action: 'leave', consumer: 'd1' })
  expect(await ticks.run(due(2000, 3000, { overlap: 'skip' }))).toMatchObject({ fires: [{ kind: 'skipped' }] })
  await ticks.bench.join('d2')
  const [job] = await takeOver(ticks.partition, { consumer: 'd2', limit: 10 })
  await settle(ticks.partition, { consumer: 'd2', address, attempts: [{ job: job!, settlement: SUCCEEDED }] })
  expect(await ticks.run(due(3000, 4000, { overlap: 'skip' }))).toMatchObject({ fires: [{ kind: 'fired' }] })
  expect(await ticks.rows()).toMatchObject([{ outcome: 'succeeded' }, { reason: 'overlap' }, { state: 'fired' }])
})

import { describe, expect, it } from 'vitest'
import { fileRows, readLedger, removePlan, tick } from '../src/index.ts'
import { due, fireAt, nameOf, SCHEDULE, SUCCEEDED, useTicks } from './tick-fixture.ts'

const address = SCHEDULE
const ticks = useTicks()

const filed = () => ticks.partition.redis.zrange(ticks.partition.keys.ledger(address), '0', '-1')
const fresh = () => ticks.partition.redis.hkeys('{p0}:ledger-fresh')

describe('the row of a tick that fired', () => {
  it('is filed behind the tick, and is there for whoever reads the ledger before', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    expect([await filed(), await fresh()], 'as a scheduler leaves it that dies now').toEqual([[], [address]])
    expect(await ticks.rows()).toMatchObject([{ atMs: 1000, state: 'fired', jobId: expect.any(String) }])
    expect([await filed(), await fresh()]).toEqual([[nameOf(1000)], []])
  })

  it('says how the run ended, though that was before it was filed', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    await ticks.end((await ticks.takeRun())!, SUCCEEDED)
    expect(await fresh()).toEqual([])
    expect(await ticks.rows()).toMatchObject([{ outcome: 'succeeded', gas: 2 }])
    expect(await ticks.partition.redis.exists('{p0}:runs:shop/schedule:nightly')).toBe(0)
  })

  it('left by a scheduler that died, is filed by the next tick', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    await ticks.run(due(2000, 3000))
    expect([await filed(), await fresh()]).toEqual([[nameOf(1000)], [address]])
    expect(await ticks.rows()).toMatchObject([{ atMs: 1000 }, { atMs: 2000 }])
  })

  it('counts as a run that has not ended, and as a time that has fired', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    expect(await ticks.run({ address, fires: [fireAt(1000)] }), 'by a backfill').toMatchObject({
      fires: [{ kind: 'known' }],
    })
    expect(await ticks.run(due(2000, 3000, { overlap: 'skip' }))).toMatchObject({ fires: [{ reason: 'overlap' }] })
    const both = [due(3000, 4000), { address, fires: [fireAt(3000)] }]
    const [planned, again] = await tick(ticks.partition, both, { keep: 100 })
    expect(planned, 'in one call').toMatchObject({ fires: [{ kind: 'fired' }] })
    expect(again).toMatchObject({ fires: [{ kind: 'known' }] })
  })

  it('of a time that a backfill has fired is not written again', async () => {
    await ticks.planned(1000)
    const byBackfill = await ticks.run({ address, fires: [fireAt(1000)] })
    expect(byBackfill).toMatchObject({ fires: [{ kind: 'fired' }] })
    expect(await ticks.run(due(1000, 2000))).toMatchObject({ fires: [{ kind: 'known' }] })
    expect([await filed(), await fresh()]).toEqual([[nameOf(1000)], []])
  })

  it('is looked for where the ledger may have it: a backfill was ahead of the plan, or the plan was made anew', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    await ticks.run({ address, fires: [fireAt(3000)] })
    expect(await ticks.run(due(2000, 3000))).toMatchObject({ fires: [{ kind: 'fired' }] })
    expect(await ticks.run(due(3000, 4000)), 'the backfill has fired it').toMatchObject({ fires: [{ kind: 'known' }] })
    expect(await ticks.run(due(4000, 5000))).toMatchObject({ fires: [{ kind: 'fired' }] })
    await ticks.planned(4000, 'b')
    await ticks.planned(4000, 'a')
    expect(await ticks.run(due(4000, 5000)), 'the plan before has fired it').toMatchObject({
      fires: [{ kind: 'known' }],
    })
    const fired = (await ticks.rows()).filter(({ jobId }) => jobId !== undefined)
    expect(fired.map(({ atMs }) => atMs)).toEqual([1000, 2000, 3000, 4000])
  })

  it('makes its ledger forget the oldest when it is filed', async () => {
    await ticks.planned(1000)
    for (const at of [1000, 2000, 3000, 4000]) {
      await tick(ticks.partition, [due(at, at + 1000)], { keep: 3 })
      expect(await fileRows(ticks.partition, { keep: 3 })).toBe(0)
    }
    expect(await filed()).toEqual([2000, 3000, 4000].map(nameOf))
  })

  it('once it is filed, is read of a server that takes no writes', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    await fileRows(ticks.partition, { keep: 3 })
    const { redis } = ticks.partition
    await redis.config('SET', 'min-replicas-to-write', '1')
    try {
      await expect(fileRows(ticks.partition, { keep: 3 })).rejects.toThrow('NOREPLICAS')
      expect(await ticks.rows()).toMatchObject([{ atMs: 1000 }])
    } finally {
      await redis.config('SET', 'min-replicas-to-write', '0')
    }
  })

  it('does not outlive the ledger of a schedule that is taken out', async () => {
    await ticks.planned(1000)
    await ticks.run(due(1000, 2000))
    await removePlan(ticks.partition, address)
    expect(await fresh()).toEqual([])
    const { ledger, ledgerRows } = ticks.partition.keys
    for (const key of [ledger(address), ledgerRows(address)])
      expect(await ticks.partition.redis.pttl(key)).toBeGreaterThan(0)
  })
})

describe('rows of many ticks', () => {
  it('are filed a hundred or so at a time', async () => {
    const addresses = Array.from({ length: 250 }, (_, n) => `shop/schedule:s${n}`)
    const rows = addresses.flatMap((each) => [each, `${nameOf(1000)} job_${each} 1000 {"atMs":1000,"kind":"planned"}`])
    await ticks.partition.redis.hset('{p0}:ledger-fresh', ...rows)
    const left: number[] = []
    do left.push(await fileRows(ticks.partition, { keep: 3 }))
    while (left.at(-1) !== 0)
    expect(left.length).toBeGreaterThanOrEqual(2)
    for (const each of addresses) {
      expect(await readLedger(ticks.partition, { address: each, count: 5 })).toMatchObject([{ name: nameOf(1000) }])
    }
  })
})

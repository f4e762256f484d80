import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { findJob, type NewJob, openQueues, purge, readLogRange, requestPurge, settle } from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'one' })

const success = { kind: 'succeeded', status: 200, durationMs: 1 } as const

describe('a clock that stepped back', () => {
  it('lets one millisecond have more facts than an id has room for, and every job an id of its own', async () => {
    const { redis, keys } = bench.partition
    const ahead = Date.now() + 600_000
    await redis.xadd(keys.log, `${ahead}-99900`, 'kind', 'audit')
    const ids: string[] = []
    for (let round = 0; round < 4; round++) {
      ids.push(...(await bench.add(...Array.from({ length: 120 }, (_, index) => index))))
      ids.push(await bench.addWith({ meta: { retries: 1 } }))
    }
    const last = (await redis.xrevrange(keys.log, '+', '-', 'COUNT', 1))[0]![0]
    expect(last, 'the log is in the next millisecond').toMatch(`${ahead + 1}-`)
    expect(ids.toSorted(), 'and they rise').toEqual(ids)
    for (const id of [ids[0]!, ids[119]!, ids.at(-1)!])
      expect(await findJob(bench.partition, id)).toMatchObject({ state: 'waiting' })
    const jobs = await bench.take('one', { want: 500, concurrency: 500 })
    expect(jobs.map(({ id }) => id)).toEqual(ids)
    const attempts = jobs.map((job) => ({ job, settlement: success }))
    await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts })
    const facts = await readLogRange(bench.partition)
    expect(facts.filter(({ type }) => type === 'job.succeeded').map(({ entityId }) => entityId)).toEqual(ids)
  })
})

describe('large payloads', () => {
  /** Noise: it would not lie packed in less. */
  const fill = async (jobs: number, bytes: number, more: Partial<NewJob> = {}) => {
    const ids: string[] = []
    for (let n = 0; n < jobs; n++)
      ids.push(await bench.addWith({ data: JSON.stringify(randomBytes((bytes * 3) / 4).toString('base64')), ...more }))
    return ids
  }
  const scriptMemory = async () =>
    Number(/used_memory_vm_functions:(\d+)/.exec(await bench.partition.redis.info('memory'))![1])
  const purgeAll = async () => {
    await requestPurge(bench.partition, { address: ADDRESS, token: 't', by: { who: 'ada' } })
    return purge(bench.partition, { address: ADDRESS, token: 't', by: { who: 'ada' } })
  }

  it('are not brought into a script that counts the jobs before one, or purges them', async () => {
    const ids = await fill(60, 1_000_000)
    const before = await scriptMemory()
    expect(await findJob(bench.partition, ids.at(-1)!)).toMatchObject({ ahead: 59 })
    expect(await purgeAll()).toBe(60)
    expect((await scriptMemory()) - before).toBeLessThan(3_000_000)
  })

  it('are not all brought into one where they stand behind their key', async () => {
    await openQueues(bench.partition, [{ address: ADDRESS, limits: { keyConcurrency: 1 } }])
    const ids = await fill(60, 1_000_000, { meta: { key: 'k' } })
    const before = await scriptMemory()
    expect(await findJob(bench.partition, ids.at(-1)!)).toMatchObject({ ahead: 17, moreAhead: true })
    expect((await findJob(bench.partition, ids[16]!))?.moreAhead).toBeUndefined()
    expect(await purgeAll()).toBe(60)
    expect((await scriptMemory()) - before).toBeLessThan(50_000_000)
  })
})

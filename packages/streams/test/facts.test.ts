import { randomBytes } from 'node:crypto'
import { idFromPosition } from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { digitsOf } from '../src/digits.ts'
import {
  type ClaimedJob,
  cancel,
  connectBlocking,
  createLogReader,
  enqueue,
  findJob,
  readCounts,
  readLeased,
  readLogPage,
  readLogRange,
  settle,
  settleLeased,
  trimLog,
  whenReady,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const JOBS = 250

const bench = useBench({ consumer: 'one', losesJobs: true })

const payloads = Array.from({ length: JOBS }, (_, index) => ({ index }))
const success = { kind: 'succeeded', status: 200, durationMs: 1 } as const

describe('facts that are written together', () => {
  it('share an entry, and each has a position, an id and a data of its own', async () => {
    const ids = await bench.add(...payloads)
    const { redis, keys } = bench.partition
    expect(await redis.xlen(keys.log), 'a hundred facts in an entry at most').toBe(3)

    const facts = await readLogRange(bench.partition)
    expect(facts.map(({ entityId }) => entityId)).toEqual(ids)
    expect(new Set(facts.map(({ position }) => position)).size).toBe(JOBS)
    expect(facts.map(({ data }) => JSON.parse(data).data.index)).toEqual(payloads.map(({ index }) => index))
    expect(facts.filter(({ endsEntry }) => endsEntry)).toHaveLength(3)
  })

  it('keep later entries behind their positions', async () => {
    await bench.add(...payloads)
    await bench.add({ later: true })
    const facts = await readLogRange(bench.partition)
    const order = facts.map(({ position }) => position.split('-').map(Number) as [number, number])
    expect(order).toEqual(order.toSorted(([a, b], [c, d]) => a - c || b - d))
    expect(new Set(order.map(String)).size).toBe(JOBS + 1)
  })

  it('name the job in every fact about it', async () => {
    const ids = await bench.add(...payloads)
    const jobs = await bench.take('one', { want: JOBS, concurrency: JOBS })
    expect(jobs.map(({ id }) => id)).toEqual(ids)
    await settle(bench.partition, {
      consumer: 'one',
      address: ADDRESS,
      attempts: jobs.map((job) => ({ job, settlement: success })),
    })
    const facts = await readLogRange(bench.partition)
    for (const type of ['job.started', 'job.succeeded']) {
      expect(facts.filter((fact) => fact.type === type).map(({ entityId }) => entityId)).toEqual(ids)
    }
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({
      accepted: JOBS,
      succeeded: JOBS,
      running: 0,
    })
  })

  it('let a command find a job in the middle of them', async () => {
    const ids = await bench.add(...payloads)
    expect(await findJob(bench.partition, ids[137]!)).toMatchObject({ state: 'waiting', ahead: 137 })
    const by = { who: 'ann', why: 'not needed' }
    expect(await cancel(bench.partition, { id: ids[137]!, by })).toMatchObject({ kind: 'cancelled' })
    expect((await bench.take('one', { want: 500, concurrency: 500 })).map(({ id }) => id)).toEqual(
      ids.filter((id) => id !== ids[137]),
    )
  })

  it('take their turn in a lane that is ahead of the log', async () => {
    const { redis, keys } = bench.partition
    const ahead = Date.now() + 60_000
    await redis.rpush(keys.lane(ADDRESS, 'normal'), `${digitsOf(idFromPosition('job', `${ahead}-0`, 0))}"first"`)
    const ids = await bench.add('second', 'third')
    const jobs = await bench.take('one')
    expect(jobs.map(({ data }) => data)).toEqual(['"first"', '"second"', '"third"'])
    expect(jobs.slice(1).map(({ id }) => id)).toEqual(ids)
  })

  it('accept a mixed batch in the order given', async () => {
    const lane = 'normal'
    const plain = (data: string) => ({ address: ADDRESS, lane, data }) as const
    const keyed = { ...plain('2'), idempotency: { key: 'k', fingerprint: 'f' } }
    const first = await enqueue(bench.partition, [plain('0'), plain('1'), keyed, plain('3')])
    expect(first.map(({ kind }) => kind)).toEqual(['enqueued', 'enqueued', 'enqueued', 'enqueued'])
    const again = await enqueue(bench.partition, [plain('4'), keyed, plain('5')])
    expect(again.map(({ kind }) => kind)).toEqual(['enqueued', 'replayed', 'enqueued'])
    expect(again[1]!.id).toBe(first[2]!.id)
    expect((await bench.take('one')).map(({ data }) => data)).toEqual(['0', '1', '2', '3', '4', '5'])
  })
})

const inHand = () => bench.partition.keys.inHand(ADDRESS)
const fieldOf = ({ id, lane }: ClaimedJob, holder = 'one') => `${digitsOf(id)} ${lane} ${holder}`

describe('settling many at once', () => {
  it('tells which of them a server has lost, and ends the others', async () => {
    await bench.add(...payloads.slice(0, 5))
    const jobs = await bench.take('one')
    const { redis, keys } = bench.partition
    const lane = keys.lane(ADDRESS, 'normal')
    // As a server does that came back without its last writes: one was never given out, and waits still.
    expect(await redis.hdel(inHand(), fieldOf(jobs[1]!))).toBe(1)
    await redis.rpush(lane, `${digitsOf(jobs[1]!.id)}${jobs[1]!.data}`)
    const attempts = jobs.map((job) => ({ job, settlement: success }))
    expect(await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts })).toEqual([
      'settled',
      'late',
      'settled',
      'settled',
      'settled',
    ])
    expect([await redis.hlen(inHand()), await redis.llen(lane)]).toEqual([0, 1])
    const facts = await readLogRange(bench.partition)
    expect(facts.filter(({ type }) => type === 'job.succeeded')).toHaveLength(4)
    expect(facts.filter(({ type }) => type === 'job.late').map(({ entityId }) => entityId)).toEqual([jobs[1]!.id])
  })

  it('keeps the answers with their attempts, whatever lanes and outcomes are mixed', async () => {
    for (const lane of ['low', 'high', 'normal', 'low'] as const) await bench.addWith({ lane, data: `"${lane}"` })
    const jobs = await bench.take('one')
    const gone = jobs.findIndex((job) => job.lane === 'normal')
    expect(await bench.partition.redis.hdel(inHand(), fieldOf(jobs[gone]!))).toBe(1)
    const failed = { kind: 'retry', delayMs: 1000, reason: 'network', durationMs: 1, lastResponse: {} } as const
    const attempts = jobs.map((job) => ({ job, settlement: job.lane === 'high' ? failed : success }))
    const results = await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts })
    expect(results.map((result, index) => [index, result])).toEqual(
      jobs.map((_, index) => [index, index === gone ? 'late' : 'settled']),
    )
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ succeeded: 2, scheduled: 1 })
  })
})

describe('a job that somebody deleted while it ran', () => {
  const failed = { kind: 'retry', delayMs: 1000, reason: 'network', durationMs: 1, lastResponse: {} } as const

  it('is told to be late, and keeps no other attempt from being settled', async () => {
    await bench.add('gone', 'there')
    const jobs = await bench.take('one')
    expect(await bench.partition.redis.hdel(inHand(), fieldOf(jobs[0]!))).toBe(1)
    const attempts = jobs.map((job) => ({ job, settlement: failed }))
    expect(await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts })).toEqual(['late', 'settled'])
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ running: 0, waiting: 0, scheduled: 1 })
  })

  it('is lost for the worker that holds it under a lease', async () => {
    await bench.add('gone')
    const [job] = await bench.take('one')
    const policy = {
      retries: 1,
      retryDelayMs: 1,
      backoff: { type: 'fixed', factor: 1, maxDelayMs: 1, jitter: 0 },
    } as const
    const settlement = { kind: 'leased', leaseMs: 60_000, token: 't', durationMs: 1, policy } as const
    await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts: [{ job: job!, settlement }] })
    expect(await bench.partition.redis.hdel(inHand(), fieldOf(job!, '@leased'))).toBe(1)
    const { id } = job!
    const leased = await readLeased(bench.partition, { id, token: 't' })
    const word = { kind: 'retry', delayMs: 1, lastResponse: {} } as const
    expect(await settleLeased(bench.partition, { id, token: 't', leased: leased!, word })).toBe('lost')
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ running: 0 })
  })
})

describe('large facts', () => {
  const ENTRY_BYTES = 65_536
  const large = Array.from({ length: 120 }, (_, index) => ({ index, text: 'x'.repeat(index === 60 ? 100_000 : 2000) }))
  const entriesOf = async () => {
    const { redis, keys } = bench.partition
    const entries = await redis.xrange(keys.log, '-', '+')
    return entries.map(([, fields]) => ({ facts: (fields.length - 4) / 2, bytes: fields.join('').length }))
  }

  it('make entries of 64 KiB at most, but for one that is larger by itself', async () => {
    // Under 4 KiB a payload is not packed; noise would not shrink anyway.
    const data = (bytes: number) => JSON.stringify(randomBytes(bytes / 2).toString('hex'))
    const jobs = Array.from({ length: 120 }, (_, index) => data(index === 60 ? 100_000 : 2000))
    const accepted = await enqueue(
      bench.partition,
      jobs.map((each) => ({ address: ADDRESS, lane: 'normal', data: each })),
    )
    const entries = await entriesOf()
    for (const { facts, bytes } of entries) if (facts > 1) expect(bytes).toBeLessThan(ENTRY_BYTES + 500)
    expect(entries.filter(({ bytes }) => bytes > ENTRY_BYTES + 500)).toEqual([{ facts: 1, bytes: expect.any(Number) }])
    expect(entries.length, 'and are filled as far as that allows').toBeLessThan(8)

    const facts = await readLogRange(bench.partition)
    expect(facts.map(({ entityId }) => entityId)).toEqual(accepted.map(({ id }) => id))
    const claimed = await bench.take('one', { want: 500, concurrency: 500 })
    expect(claimed.map(({ id, data }) => [id, data])).toEqual(accepted.map(({ id }, index) => [id, jobs[index]]))
  })

  it('of many results that are settled at once stand in several entries', async () => {
    await bench.add(...large.map(({ index }) => index))
    const jobs = await bench.take('one', { want: 500, concurrency: 500 })
    const attempts = jobs.map((job, index) => ({
      job,
      settlement: { ...success, result: JSON.stringify(large[index]) },
    }))
    await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts })
    const ends = (await readLogRange(bench.partition)).filter(({ type }) => type === 'job.succeeded')
    expect(ends.map(({ entityId, data }) => [entityId, JSON.parse(data).result])).toEqual(
      jobs.map(({ id }, index) => [id, large[index]]),
    )
    for (const { facts, bytes } of await entriesOf()) if (facts > 1) expect(bytes).toBeLessThan(ENTRY_BYTES + 500)
  })
})

describe('trimming', () => {
  it('keeps facts, not entries', async () => {
    const { redis, keys } = bench.partition
    await redis.xgroup('CREATE', keys.log, 'audit', '$', 'MKSTREAM')
    for (let round = 0; round < 10; round++) await bench.add(...payloads)
    const last = (await readLogRange(bench.partition)).at(-1)!
    await redis.xgroup('SETID', keys.log, 'audit', last.position)
    await trimLog(bench.partition, { keep: 500 })
    const kept = await readLogRange(bench.partition)
    expect(kept.length).toBeGreaterThanOrEqual(500)
    expect(kept.length).toBeLessThan(1000)
    expect(kept.at(-1)).toEqual(last)
  })
  it('keeps an entry whole while a group stands in the middle of it', async () => {
    const { redis, keys } = bench.partition
    // Larger than a node of the stream, so that this entry could go alone.
    const ids = await bench.add(...payloads.map(({ index }) => ({ index, text: 'x'.repeat(500) })))
    await bench.add(...payloads)
    const stopped = (await readLogRange(bench.partition))[150]!
    await redis.xgroup('CREATE', keys.log, 'audit', stopped.position)
    await trimLog(bench.partition, { keep: 1 })
    const rest = await readLogPage(bench.partition, { after: stopped.position, count: 1000 })
    expect(rest.events[0]?.entityId).toBe(ids[151])
  })
})

describe('a reader', () => {
  it('may stop in the middle of an entry and go on from there, also as another process', async () => {
    const ids = await bench.add(...payloads)
    const blocking = connectBlocking({ url: bench.server.url, role: 'test', blockMs: 50 })
    await whenReady(blocking, { timeoutMs: 5000 })
    const open = () => createLogReader({ partition: bench.partition, blocking, group: 'audit' })
    let reader = open()
    let after = '0-0'
    const seen: string[] = []
    for (let reads = 0; seen.length < JOBS; reads++) {
      const events = await reader.read({ after, count: 37, blockMs: 20 })
      expect(events.length).toBeGreaterThan(0)
      expect(events.length).toBeLessThanOrEqual(37)
      seen.push(...events.map(({ entityId }) => entityId))
      after = events.at(-1)!.position
      if (reads % 2 === 1) reader = open()
    }
    expect(seen).toEqual(ids)
    expect(await reader.read({ after, count: 10, blockMs: 20 })).toEqual([])
    blocking.disconnect()
  })
})

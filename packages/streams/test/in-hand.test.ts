import { eventually } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { digitsOf } from '../src/digits.ts'
import {
  moveDue,
  readCounts,
  readLeased,
  type Settlement,
  settle,
  settleLeased,
  takeOver,
  type WorkerWord,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'one' })
const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
const key = () => bench.partition.keys.inHand(ADDRESS)
const encoding = () => bench.partition.redis.object('ENCODING', key())
const settleAll = (jobs: Awaited<ReturnType<typeof bench.take>>, consumer = 'one') =>
  settle(bench.partition, { consumer, address: ADDRESS, attempts: jobs.map((job) => ({ job, settlement: done })) })

/** While nothing can be written to the log, which every script does somewhere in its middle. */
async function whileBroken(run: () => Promise<unknown>): Promise<void> {
  const { redis, keys } = bench.partition
  await redis.rename(keys.log, '{p0}:log-kept')
  await redis.set(keys.log, 'not a stream')
  await run()
  await redis.rename('{p0}:log-kept', keys.log)
}

describe('what is claimed', () => {
  it('is no longer in its lane, and in hand under the name of whoever has it', async () => {
    await bench.join('two')
    const [a, b, c] = await bench.add(...['a', 'b', 'c'])
    const [first] = await bench.take('one', { want: 1 })
    const [second] = await bench.take('two', { want: 1 })
    expect([first?.id, second?.id]).toEqual([a, b])
    const { redis, keys } = bench.partition
    expect(await redis.llen(keys.lane(ADDRESS, 'normal'))).toBe(1)
    const [digitsOfA, digitsOfB] = [digitsOf(a ?? ''), digitsOf(b ?? '')]
    expect(await redis.hgetall(key())).toEqual({
      [`${digitsOfA} normal one`]: `${digitsOfA}"a"`,
      [`${digitsOfB} normal two`]: `${digitsOfB}"b"`,
    })

    // Nobody can end what another one has.
    expect(await settleAll([second!])).toEqual(['late'])
    expect(await settleAll([second!], 'two')).toEqual(['settled'])
    expect(await settleAll([first!])).toEqual(['settled'])
    expect(await redis.exists(key())).toBe(0)
    expect((await bench.take('one')).map(({ id }) => id)).toEqual([c])
  })

  it('has its payload back byte for byte where it goes back into a lane, whatever else came with it', async () => {
    const data = '{"big":9007199254740993,"a":1,"a":2,"at":"@\\n{}"}'
    const meta = { traceparent: 'tp', expiresAtMs: Date.now() + 60_000 }
    const id = await bench.addWith({ data, meta })
    const back: Settlement = { kind: 'postpone', delayMs: 0, reason: 'not_begun', durationMs: 0, lastResponse: {} }
    const [job] = await bench.take('one')
    await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts: [{ job: job!, settlement: back }] })
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ running: 0, scheduled: 1 })
    await moveDue(bench.partition, { limit: 10 })
    const [again] = await bench.take('one')
    expect(again).toMatchObject({ id, data, attempt: 1, meta: { traceparent: 'tp' } })
  })

  it('is not lost where a claim fails half way', async () => {
    await bench.add('a')
    const unique = { key: 'k', mode: 'until_started' } as const
    await bench.addWith({ data: '"b"', meta: { unique }, unique })
    await bench.add('c')
    const { redis } = bench.partition
    const name = `{p0}:unique:${ADDRESS}:k`
    expect(await redis.del(name)).toBe(1)
    await redis.hset(name, 'not', 'a string')
    await expect(bench.take('one')).rejects.toThrow(/WRONGTYPE/)
    await redis.del(name)
    const again = (await bench.take('one')).map(({ data }) => data)
    expect(again).toEqual(expect.arrayContaining(['"b"', '"c"']))
    // What the first claim had taken before it failed is in hand: who made it leaves, and hands it over.
    expect((await redis.hvals(key())).map((value) => value.slice(-3)).toSorted()).toEqual(['"a"', '"b"', '"c"'])
  })

  it('is not lost where taking over fails half way', async () => {
    const [id] = await bench.add('a')
    await bench.take('one')
    await bench.join('two')
    const { redis, keys } = bench.partition
    await redis.zadd(keys.consumers, '0', 'one')
    await redis.set('{p0}:cancelling', 'not a hash')
    await expect(takeOver(bench.partition, { consumer: 'two', limit: 10 })).rejects.toThrow(/WRONGTYPE/)
    await redis.del('{p0}:cancelling')
    expect((await takeOver(bench.partition, { consumer: 'two', limit: 10 })).map((job) => job.id)).toEqual([id])
    expect(await redis.hlen(key())).toBe(1)
  })

  const answer = { durationMs: 1, lastResponse: { status: 500, headers: {}, body: 'no' } } as const
  it.each<[string, Settlement]>([
    ['success', done],
    ['retry', { kind: 'retry', delayMs: 0, reason: 'http_status', ...answer }],
    ['dead letter', { kind: 'dead', reason: 'no_retry', ...answer }],
    ['cancelled', { kind: 'cancelled', reason: 'cancelled', ...answer }],
  ])('is not lost where settling it fails half way: %s', async (_name, settlement) => {
    await bench.add('a')
    const [job] = await bench.take('one')
    const call = { consumer: 'one', address: ADDRESS, attempts: [{ job: job!, settlement }] }
    await whileBroken(() => expect(settle(bench.partition, call)).rejects.toThrow(/WRONGTYPE/))
    expect((await bench.partition.redis.hvals(key())).map((value) => value.slice(16))).toEqual(['"a"'])
    expect(await settle(bench.partition, call)).toEqual(['settled'])
    expect(await bench.partition.redis.exists(key())).toBe(0)
  })

  it('is not lost where its worker ends it, and that fails half way', async () => {
    const [id = ''] = await bench.add('a')
    const [job] = await bench.take('one')
    const policy = { retries: 3, retryDelayMs: 10, backoff: { type: 'fixed', jitter: 0 }, onStatus: undefined } as never
    const lease: Settlement = { kind: 'leased', leaseMs: 60_000, token: 't', policy, durationMs: 1 }
    await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts: [{ job: job!, settlement: lease }] })
    const leased = await readLeased(bench.partition, { id, token: 't' })
    const say = (word: WorkerWord) => settleLeased(bench.partition, { id, token: 't', leased: leased!, word })
    await whileBroken(() => expect(say({ kind: 'succeeded' })).rejects.toThrow(/WRONGTYPE/))
    expect(await say({ kind: 'extend', leaseMs: 60_000 })).toBe('extended')
    expect(await say({ kind: 'succeeded' })).toBe('settled')
    expect(await bench.partition.redis.exists(key())).toBe(0)
  })

  it('is found as quickly however many there are, small as their payloads may be', async () => {
    await bench.add(...Array.from({ length: 40 }, (_, n) => n))
    const few = await bench.take('one', { want: 10 })
    expect(await encoding()).toBe('listpack')
    const more = await bench.take('one', { want: 30 })
    expect([await encoding(), await bench.partition.redis.hlen(key())]).toEqual(['hashtable', 40])
    expect(await settleAll([...few, ...more])).toEqual(Array.from({ length: 40 }, () => 'settled'))
    expect(await bench.partition.redis.exists(key())).toBe(0)
  })
})

describe('what is due', () => {
  it('is moved though another one cannot be, which is put off, told and not lost', async () => {
    const { redis, keys } = bench.partition
    const [bad = '', good = ''] = [await bench.addWith({ due: { inMs: 1 } }), await bench.addWith({ due: { inMs: 2 } })]
    const parked = `${keys.tag}:parked`
    const kept = (await redis.hget(parked, bad)) ?? ''
    await redis.hset(parked, bad, 'this is no job')
    await eventually(async () => (await redis.zcount(`${keys.tag}:due`, '-inf', Date.now())) === 2)
    const { moved, failed, nextInMs = 0 } = await moveDue(bench.partition, { limit: 10 })
    expect(moved).toBe(1)
    expect(failed).toEqual([expect.stringMatching(new RegExp(`^${bad}: .`))])
    expect(nextInMs).toBeGreaterThan(50_000)
    expect((await bench.take('one')).map(({ id }) => id)).toEqual([good])

    await redis.hset(parked, bad, kept)
    await redis.zadd(`${keys.tag}:due`, '1', bad)
    expect(await moveDue(bench.partition, { limit: 10 })).toEqual({ moved: 1, failed: [] })
    expect((await bench.take('one')).map(({ id }) => id)).toEqual([bad])
  })
})

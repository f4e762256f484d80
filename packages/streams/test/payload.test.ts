import { randomBytes } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import { idFromPosition } from '@millrace/contracts'
import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { digitsOf } from '../src/digits.ts'
import {
  enqueue,
  lease,
  listDeadLetters,
  moveDue,
  readLogRange,
  redrive,
  type Settlement,
  settle,
  takeOver,
  tick,
} from '../src/index.ts'
import { packPayload, unpackEventData, unpackPayload } from '../src/payload.ts'
import { ADDRESS, type Bench, expectBalance, inLane, prepare } from './fixture.ts'

const long = (text: string) => `{"text":"${text.repeat(Math.ceil(9000 / text.length))}"}`
const PAYLOADS = {
  'large numbers': `[${Array.from({ length: 800 }, () => '9007199254740993').join(', ')}]`,
  'duplicate keys and odd spaces': `{ "a" : 1,\t"a":2 , "fill":"${'x'.repeat(5000)}"}`,
  'all planes of unicode': long('é漢\u{1f600}\\u0000\\ud83d '),
  'the mark and the member inside of a string': long(',\\"data\\":~zstd:1:AA== '),
  'a string': `"${'~zstd:'.repeat(2000)}"`,
  'the largest default size': `"${'abc '.repeat(65_500)}"`,
}

describe('packing', () => {
  it.each(Object.entries(PAYLOADS))('brings %s back byte for byte, and shorter', (_name, text) => {
    const packed = packPayload(text)
    expect(packed).toMatch(/^~zstd:\d+:/)
    expect(packed.length).toBeLessThan(Buffer.byteLength(text) / 2)
    expect(Buffer.from(unpackPayload(packed)).equals(Buffer.from(text))).toBe(true)
  })

  it('leaves alone what is short, or would not get shorter', () => {
    for (const text of [
      'null',
      '"~zstd:1:AA=="',
      long('x').slice(0, 4000),
      `"${randomBytes(20_000).toString('base64')}"`,
    ]) {
      expect(packPayload(text)).toBe(text)
      expect(unpackPayload(text)).toBe(text)
    }
  })

  const bomb = zstdCompressSync(Buffer.alloc(64_000_000, 32)).toString('base64')
  it.each([
    ['unfolds into more than it says', `~zstd:5000:${bomb}`],
    ['says that it is larger than any payload', `~zstd:64000000:${bomb}`],
    ['is not what it says', packPayload(long('x')).replace(/:\d+:/, ':8999:')],
    ['is cut off', packPayload(PAYLOADS['large numbers']).slice(0, -8)],
    ['has another mark', '~gzip:5:AAAA'],
  ])('hands on as a JSON string what %s', (_name, stored) => {
    expect(JSON.parse(unpackPayload(stored))).toBe(stored)
  })

  it('finds the payload of an event where it is, not where a text looks like it', () => {
    const text = PAYLOADS['large numbers']
    const before = '{"lane":"normal","meta":{"key":"a\\",\\"data\\":~zstd:1:"}'
    expect(unpackEventData(`${before},"data":${packPayload(text)}}`)).toBe(`${before},"data":${text}}`)
    expect(unpackEventData(`${before},"data":1}`)).toBe(`${before},"data":1}`)
  })
})

describe('in Redis', () => {
  let server: RedisServer
  let bench: Bench
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    bench = await prepare(server)
    await bench.join('d1')
  })
  afterEach(() => expectBalance(bench))
  const failure = { reason: 'http_status', durationMs: 1, lastResponse: { status: 500 } } as const
  const settleAll = async (settlement: Settlement) => {
    const jobs = await bench.take('d1')
    await settle(bench.partition, {
      consumer: 'd1',
      address: ADDRESS,
      attempts: jobs.map((job) => ({ job, settlement })),
    })
    return jobs.map(({ data }) => data)
  }

  it('every way of a payload brings it back: claim, retry, take over, dead letter, redrive, log', async () => {
    const texts = Object.values(PAYLOADS)
    await enqueue(
      bench.partition,
      texts.map((data) => ({ address: ADDRESS, lane: 'normal' as const, data })),
    )
    expect((await inLane(bench.partition)).every(({ data }) => data.startsWith('~zstd:'))).toBe(true)
    const logged = (await readLogRange(bench.partition)).map(({ data }) => data)
    expect(logged).toEqual(texts.map((text) => `{"lane":"normal","data":${text}}`))

    expect(await settleAll({ kind: 'retry', delayMs: 0, ...failure })).toEqual(texts)
    await moveDue(bench.partition, { limit: 100 })
    await bench.take('d1')
    await lease(bench.partition, { action: 'leave', consumer: 'd1' })
    await bench.join('d2')
    const taken = await takeOver(bench.partition, { consumer: 'd2', limit: 100 })
    expect(taken.map(({ data }) => data)).toEqual(texts)
    const dead = { kind: 'dead', ...failure } as const
    await settle(bench.partition, {
      consumer: 'd2',
      address: ADDRESS,
      attempts: taken.map((job) => ({ job, settlement: dead })),
    })
    const { letters } = await listDeadLetters(bench.partition, { address: ADDRESS, limit: 100 })
    expect(letters.map(({ text }) => text)).toEqual(texts)
    await redrive(bench.partition, { address: ADDRESS, limit: 100, who: 'ada' })
    expect((await bench.take('d2')).map(({ data }) => data)).toEqual(texts)
  })

  it('a debounce and a tick pack as well, and an entry of before is read as it is', async () => {
    const text = PAYLOADS['large numbers']
    const unique = { key: 'k', mode: 'debounce', periodMs: 1 } as const
    const job = {
      address: ADDRESS,
      lane: 'normal' as const,
      unique,
      meta: { unique: { key: 'k', mode: 'debounce' as const } },
    }
    await enqueue(bench.partition, [
      { ...job, data: '1' },
      { ...job, data: text },
    ])
    const fire = {
      name: 'now',
      row: { kind: 'manual', atMs: 1, state: 'fired' },
      type: 'schedule.triggered',
      event: {},
      meta: {},
    } as const
    await tick(bench.partition, [{ address: ADDRESS, fires: [{ ...fire, data: text }] }], { keep: 10 })
    const events = (await readLogRange(bench.partition)).filter(({ type }) => /enqueued|updated/.test(type))
    expect(events.map(({ data }) => data.endsWith(`"data":${text}}`))).toEqual([false, true, true])
    const place = digitsOf(idFromPosition('job', `${Date.now()}-0`, 0))
    await bench.partition.redis.rpush(bench.partition.keys.lane(ADDRESS, 'normal'), `${place}${text}`)
    await bench.partition.redis.hincrby(bench.partition.keys.counts(ADDRESS), 'accepted', 1)
    expect(await settleAll({ kind: 'succeeded', status: 200, durationMs: 1 })).toEqual([text, text])
  })
})

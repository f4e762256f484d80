import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  checkServer,
  connectBlocking,
  createLogReader,
  createPartitions,
  emit,
  KEY_CATALOGUE,
  LAYOUT_VERSION,
  LOG_READERS,
  readLogRange,
  trimLog,
  whenReady,
} from '../src/index.ts'
import { type Bench, prepare } from './fixture.ts'

let server: RedisServer
let bench: Bench
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())
beforeEach(async () => {
  bench = await prepare(server)
})

// Of two types in turn, so that each stands in an entry of its own.
const fill = (count: number) =>
  emit(
    bench.partition,
    Array.from({ length: count }, (_, index) => ({
      kind: 'audit' as const,
      type: index % 2 === 0 ? 'x.y' : 'x.z',
      namespace: 'shop',
      entityId: `e${index}`,
      data: '{}',
    })),
  )
const readerOf = async (group: string) => {
  const blocking = connectBlocking({ url: server.url, role: 'test', blockMs: 50 })
  await whenReady(blocking, { timeoutMs: 5000 })
  return { reader: createLogReader({ partition: bench.partition, blocking, group }), blocking }
}

describe('the log reader', () => {
  it('reads in order from its cursor, marks its group and knows its lag', async () => {
    const { reader, blocking } = await readerOf('audit')
    await reader.open({ position: '0-0', entriesRead: 0 })
    await fill(250)
    const first = await reader.read({ after: '0-0', count: 100, blockMs: 50 })
    const rest = await reader.read({ after: first.at(-1)!.position, count: 1000, blockMs: 50 })
    expect([...first, ...rest].map((event) => event.entityId)).toEqual(
      Array.from({ length: 250 }, (_, index) => `e${index}`),
    )
    expect(await reader.read({ after: rest.at(-1)!.position, count: 10, blockMs: 20 })).toEqual([])
    await reader.commit({ position: first.at(-1)!.position, entriesRead: 100 })
    expect((await reader.lag(100)).entries).toBe(150)
    blocking.disconnect()
  })

  it('makes a group that somebody destroyed again, from its own cursor', async () => {
    const { reader, blocking } = await readerOf('audit')
    await reader.open({ position: '0-0', entriesRead: 0 })
    await fill(10)
    const [third] = (await readLogRange(bench.partition)).slice(2)
    await bench.partition.redis.xgroup('DESTROY', bench.partition.keys.log, 'audit')
    await reader.commit({ position: third!.position, entriesRead: 3 })
    const groups = (await bench.partition.redis.xinfo('GROUPS', bench.partition.keys.log)) as string[][]
    expect(groups[0]).toContain(third!.position)
    blocking.disconnect()
  })
})

describe('retention', () => {
  it('trims behind the slowest group only, and keeps the newest entries', async () => {
    const { reader: audit, blocking } = await readerOf('audit')
    const { reader: slow, blocking: other } = await readerOf('slow')
    await audit.open({ position: '0-0', entriesRead: 0 })
    await slow.open({ position: '0-0', entriesRead: 0 })
    await fill(1000)
    const events = await readLogRange(bench.partition)
    await audit.commit({ position: events.at(-1)!.position, entriesRead: 1000 })
    expect(await trimLog(bench.partition, { keep: 100 }), 'the slow group has read nothing').toBe(0)

    await slow.commit({ position: events[499]!.position, entriesRead: 500 })
    const trimmed = await trimLog(bench.partition, { keep: 100 })
    expect(trimmed).toBeGreaterThan(300)
    expect(trimmed).toBeLessThan(500)
    expect((await readLogRange(bench.partition)).map((event) => event.position)).toContain(events[499]!.position)

    await slow.commit({ position: events.at(-1)!.position, entriesRead: 1000 })
    await trimLog(bench.partition, { keep: 300 })
    expect((await readLogRange(bench.partition)).length).toBeGreaterThanOrEqual(300)
    blocking.disconnect()
    other.disconnect()
  })

  it('keeps everything while the group of a reader that it was told of is not there', async () => {
    const { reader: audit, blocking } = await readerOf('audit')
    await audit.open({ position: '0-0', entriesRead: 0 })
    await fill(500)
    const { position } = (await readLogRange(bench.partition)).at(-1)!
    await audit.commit({ position, entriesRead: 500 })
    const trim = { keep: 10, readers: Object.values(LOG_READERS) }
    expect(await trimLog(bench.partition, trim)).toBe(0)
    const { reader: router, blocking: other } = await readerOf('router')
    await router.open({ position, entriesRead: 500 })
    expect(await trimLog(bench.partition, trim)).toBeGreaterThan(300)
    blocking.disconnect()
    other.disconnect()
  })

  it('keeps everything while nobody reads', async () => {
    await fill(500)
    expect(await trimLog(bench.partition, { keep: 10 })).toBe(0)
  })
})

describe('emit', () => {
  it('is once per idempotency key', async () => {
    const fact = {
      kind: 'audit' as const,
      type: 'x.y',
      namespace: 'shop',
      entityId: 'e',
      idempotencyKey: 'k',
      data: '{"n":1}',
    }
    const [first] = await emit(bench.partition, [fact])
    const [second] = await emit(bench.partition, [fact])
    expect(second).toEqual({ kind: 'replayed', position: first!.position })
    expect(await readLogRange(bench.partition)).toHaveLength(1)
  })

  it('puts facts of one kind that follow each other into one entry, each with its position, and knows a key again within a call', async () => {
    const fact = (type: string, entityId: string, idempotencyKey?: string) => ({
      ...{ kind: 'event' as const, type, namespace: 'shop', entityId, data: '{}' },
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    })
    const emitted = await emit(bench.partition, [
      fact('a', '1', 'one'),
      fact('a', '2'),
      fact('a', '3', 'one'),
      fact('b', '4', 'two'),
      fact('a', '5'),
      fact('a', '6', 'two'),
    ])
    const events = await readLogRange(bench.partition)
    expect(events.map(({ type, entityId, endsEntry }) => [type, entityId, endsEntry])).toEqual([
      ['a', '1', false],
      ['a', '2', true],
      ['b', '4', true],
      ['a', '5', true],
    ])
    const [first, second, fourth, fifth] = events.map(({ position }) => position)
    expect(emitted.map(({ kind, position }) => [kind, position])).toEqual([
      ['appended', first],
      ['appended', second],
      ['replayed', first],
      ['appended', fourth],
      ['appended', fifth],
      ['replayed', fourth],
    ])
    expect(await emit(bench.partition, [fact('a', '7', 'two')])).toEqual([{ kind: 'replayed', position: fourth }])
  })

  it('ends an entry at a hundred facts and goes on in the next', async () => {
    const facts = Array.from({ length: 250 }, (_, index) => ({
      ...{ kind: 'event' as const, type: 'a', namespace: 'shop', entityId: `e${index}`, idempotencyKey: `k${index}` },
      data: '{}',
    }))
    const emitted = await emit(bench.partition, facts)
    const events = await readLogRange(bench.partition)
    expect(events.filter(({ endsEntry }) => endsEntry)).toHaveLength(3)
    expect(events.map(({ position }) => position)).toEqual(emitted.map(({ position }) => position))
    expect(new Set(emitted.map(({ position }) => position)).size).toBe(250)
    const again = await emit(bench.partition, facts.slice(120, 121))
    expect(again).toEqual([{ kind: 'replayed', position: emitted[120]?.position }])
  })
})

describe('the server check', () => {
  it('refuses an eviction policy that may drop jobs, and says what to run', async () => {
    const redis = server.client()
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await expect(checkServer(redis, { partitions: 1 })).rejects.toThrow(/CONFIG SET maxmemory-policy noeviction/)
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
  })

  it('fixes the number of partitions at first boot', async () => {
    const redis = server.client()
    expect(await checkServer(redis, { partitions: 4 })).toMatchObject({ version: expect.stringMatching(/^\d+\./) })
    await expect(checkServer(redis, { partitions: 5 })).rejects.toThrow(/set MILLRACE_PARTITIONS=4/)
  })

  it('takes what an older version has laid out, which cannot start there any more, but not with other partitions', async () => {
    const redis = server.client()
    const layout = () => redis.hget('{reg}:meta', 'layout')
    await redis.hset('{reg}:meta', { partitions: 4, layout: 1 })
    await expect(checkServer(redis, { partitions: 5 })).rejects.toThrow(/set MILLRACE_PARTITIONS=4/)
    expect(await layout()).toBe('1')
    await checkServer(redis, { partitions: 4 })
    expect(await layout()).toBe(String(LAYOUT_VERSION))
  })

  it('refuses what a newer version has laid out, and changes nothing of it', async () => {
    const redis = server.client()
    await checkServer(redis, { partitions: 4 })
    await redis.hset('{reg}:meta', 'layout', LAYOUT_VERSION + 1)
    const newer = new RegExp(
      `has layout ${LAYOUT_VERSION + 1}, this Millrace reads layouts up to ${LAYOUT_VERSION}\\. Start the version`,
    )
    await expect(checkServer(redis, { partitions: 4 })).rejects.toThrow(newer)
    expect(await redis.hget('{reg}:meta', 'layout')).toBe(String(LAYOUT_VERSION + 1))
  })
})

describe('partitions', () => {
  it('spread addresses evenly and always the same way', () => {
    const partitions = createPartitions(server.client(), 16)
    const counts = new Map<number, number>()
    for (let index = 0; index < 8000; index++) {
      const { number } = partitions.of(`shop/queue-${index}`)
      counts.set(number, (counts.get(number) ?? 0) + 1)
    }
    expect(Math.min(...counts.values())).toBeGreaterThan(350)
    expect(partitions.of('shop/mail').number).toBe(createPartitions(server.client(), 16).of('shop/mail').number)
  })

  it('have no key that the catalogue does not list', async () => {
    const known = KEY_CATALOGUE.map(
      ({ pattern }) =>
        new RegExp(
          `^${pattern.replaceAll(/[{}]/g, '\\$&').replace('\\{pN\\}', '\\{p\\d+\\}').replaceAll(/<\w+>/g, '.+')}$`,
        ),
    )
    for (const key of await server.client().keys('*'))
      expect(
        known.some((pattern) => pattern.test(key)),
        key,
      ).toBe(true)
  })
})

import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ClaimedJob,
  cancel,
  discard,
  findJob,
  imbalance,
  type Limits,
  lease,
  moveDue,
  openQueues,
  pause,
  purge,
  readCounts,
  redrive,
  requestPurge,
  type Settlement,
  settle,
  takeOver,
} from '../src/index.ts'
import { ADDRESS, type Bench, prepare } from './fixture.ts'

let server: RedisServer
let bench: Bench
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())

const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
const failure = { reason: 'http_status', durationMs: 1, lastResponse: { status: 500 } } as const
const retry: Settlement = { kind: 'retry', delayMs: 0, ...failure }
const dead: Settlement = { kind: 'dead', ...failure }
const ONE: Limits = { keyConcurrency: 1, onDead: 'skip' }
const BLOCK: Limits = { keyConcurrency: 1, onDead: 'block' }
const TWO: Limits = { keyConcurrency: 2, onDead: 'skip' }
const apply = (limits?: Limits) => openQueues(bench.partition, [{ address: ADDRESS, ...(limits && { limits }) }])
const due = () => moveDue(bench.partition, { limit: 1000 })
const keysLeft = async () =>
  (await bench.partition.redis.keys('*')).filter((key) => /held|lines|ring|keyrun|slots|places/.test(key))

/** The generator mulberry32: the same seed gives the same sequence on every machine. */
function randomOf(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (n: number) => Math.floor(next() * n)
  return { below, pick: <T>(items: readonly T[]): T => items[below(items.length)] as T }
}

const LIMITS: readonly (Limits | undefined)[] = [undefined, ONE, BLOCK, TWO, { keyConcurrency: 3, onDead: 'skip' }]
const KEYS = ['a', 'b', 'c', undefined]

describe('any sequence of applies, enqueues, starts, ends, redrives and cancels', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('leaves no slot behind and loses no job (seed %i)', async (seed) => {
    const { below, pick } = randomOf(seed)
    let limits = pick(LIMITS)
    bench = await prepare(server, limits)
    await bench.join('d1')
    const by = { who: 'ada', why: 'test' }
    const ids: string[] = []
    const running = new Map<string, ClaimedJob>()
    let consumer = 'd1'
    let terms = 1

    const settleSome = async (settlementOf: () => Settlement) => {
      for (const job of [...running.values()].slice(0, 1 + below(4))) {
        running.delete(job.id)
        await settle(bench.partition, { consumer, address: ADDRESS, attempts: [{ job, settlement: settlementOf() }] })
      }
    }
    const start = async () => {
      const jobs = await bench.take(consumer, { want: 1 + below(6), concurrency: 20 })
      for (const job of jobs) {
        expect(running.has(job.id), 'one holder at a time').toBe(false)
        running.set(job.id, job)
      }
      const limit = limits?.keyConcurrency ?? Number.POSITIVE_INFINITY
      for (const { id, epoch, meta } of jobs) {
        if (meta.key === undefined || epoch > 1) continue
        const others = [...running.values()].filter((job) => job.meta.key === meta.key)
        expect(others.length, `${id} of ${meta.key} at a limit of ${limit}`).toBeLessThanOrEqual(limit)
      }
    }
    const actions: (() => Promise<unknown>)[] = [
      async () => {
        limits = pick(LIMITS)
        await apply(limits)
      },
      ...Array.from({ length: 5 }, () => async () => {
        const key = pick(KEYS)
        const lane = limits?.keyConcurrency === undefined ? pick(['high', 'normal', 'low'] as const) : 'normal'
        const due = pick([undefined, undefined, { inMs: 0 }])
        const meta = key === undefined ? undefined : { key }
        ids.push(await bench.addWith({ lane, ...(meta && { meta }), ...(due && { due }), data: `${ids.length}` }))
      }),
      ...Array.from({ length: 4 }, () => start),
      ...Array.from(
        { length: 3 },
        () => () => settleSome(() => pick([done, done, retry, dead, { kind: 'postpone', delayMs: 0, ...failure }])),
      ),
      due,
      due,
      () => redrive(bench.partition, { address: ADDRESS, limit: 1 + below(3), ...by }),
      async () => ids.length > 0 && cancel(bench.partition, { id: pick(ids), by }),
      async () => {
        const id = ids.length > 0 && below(2) === 0 ? pick(ids) : undefined
        if (id) await discard(bench.partition, { address: ADDRESS, ids: [id], by })
      },
      async () => {
        const key = pick(['a', 'b'])
        const at = '2026-01-01T00:00:00.000Z'
        for (const action of ['pause', 'resume'] as const)
          await pause(bench.partition, { action, address: ADDRESS, key, by: { ...by, at } })
      },
      async () => {
        if (below(6) > 0) return
        await requestPurge(bench.partition, { address: ADDRESS, token: 't', by })
        await purge(bench.partition, { address: ADDRESS, token: 't', by })
      },
      async () => {
        if (below(4) > 0) return
        await lease(bench.partition, { action: 'leave', consumer })
        consumer = `d${++terms}`
        await bench.join(consumer)
        running.clear()
        for (const job of await takeOver(bench.partition, { consumer, limit: 100 })) running.set(job.id, job)
      },
    ]
    for (let step = 0; step < 300; step++) await pick(actions)()

    // The end: all is delivered, redriven letters too.
    for (let round = 0; round < 200; round++) {
      for (const job of running.values())
        await settle(bench.partition, { consumer, address: ADDRESS, attempts: [{ job, settlement: done }] })
      running.clear()
      await due()
      await redrive(bench.partition, { address: ADDRESS, limit: 1000, ...by })
      await start()
    }
    const counts = (await readCounts(bench.partition, [ADDRESS]))[0]!
    expect(counts).toMatchObject({ waiting: 0, running: 0, scheduled: 0, accepted: ids.length })
    expect(imbalance(counts)).toBe(0)
    for (const id of ids) expect(await findJob(bench.partition, id)).toBeUndefined()
    expect(await keysLeft()).toEqual([])
  })
})

import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { enqueue, moveDue, reschedule, type Settlement, settle, type Unique } from '../src/index.ts'
import { ADDRESS, type Bench, prepare } from './fixture.ts'

/** One key, jobs of several modes: who has the key says how long, who comes says what happens then. */
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

const KEY = 'k'
const MODES: Record<Unique['mode'], Unique> = {
  until_started: { key: KEY, mode: 'until_started' },
  until_finished: { key: KEY, mode: 'until_finished' },
  throttle: { key: KEY, mode: 'throttle', periodMs: 60_000 },
  debounce: { key: KEY, mode: 'debounce', periodMs: 60_000 },
}
const add = async (mode: Unique['mode'], data = '"new"', due?: { inMs: number }) => {
  const job = { address: ADDRESS, lane: 'normal' as const, data, ...(due && { due }) }
  const [result] = await enqueue(bench.partition, [
    { ...job, unique: MODES[mode], meta: { unique: { key: KEY, mode } } },
  ])
  return result!
}
const failed: Settlement = { kind: 'retry', delayMs: 0, reason: 'timeout', durationMs: 1, lastResponse: {} }
const settleOne = async (settlement: Settlement) => {
  const [job] = await bench.take('d1', { want: 1 })
  await settle(bench.partition, { consumer: 'd1', address: ADDRESS, attempts: [{ job: job!, settlement }] })
  return job!
}

describe('a debounce that meets the key of another mode', () => {
  it('leaves a job that waits for its retry as it is', async () => {
    const { id } = await add('until_finished', '"first"')
    await settleOne(failed)
    expect(await add('debounce')).toEqual({ kind: 'duplicate', id })
    await moveDue(bench.partition, { limit: 1 })
    expect(await bench.take('d1')).toMatchObject([
      { id, attempt: 2, data: '"first"', meta: { unique: { mode: 'until_finished' } } },
    ])
    expect((await add('debounce')).kind, 'the key is kept to the end').toBe('duplicate')
  })

  it.each(['until_started', 'until_finished', 'throttle'] as const)(
    'leaves a delayed job of %s as it is',
    async (mode) => {
      const { id } = await add(mode, '"first"', { inMs: 60_000 })
      expect(await add('debounce')).toEqual({ kind: 'duplicate', id })
      await reschedule(bench.partition, { id, due: { inMs: 0 }, by: { who: 'ada' } })
      await moveDue(bench.partition, { limit: 1 })
      expect((await bench.take('d1')).map(({ data }) => data)).toEqual(['"first"'])
    },
  )
})

it.each(['until_started', 'until_finished', 'debounce'] as const)(
  'a throttle holds against %s after its job has ended, for its whole period',
  async (mode) => {
    const { id } = await add('throttle')
    await settleOne({ kind: 'succeeded', status: 200, durationMs: 1 })
    expect(await add(mode)).toEqual({ kind: 'duplicate', id })
    expect(await bench.partition.redis.pttl(`{p0}:unique:${ADDRESS}:${KEY}`)).toBeGreaterThan(50_000)
  },
)

it.each(['until_started', 'until_finished', 'throttle'] as const)(
  'a waiting debounce has the key against %s',
  async (mode) => {
    const { id } = await add('debounce', '"first"')
    expect(await add(mode)).toEqual({ kind: 'duplicate', id })
    await reschedule(bench.partition, { id, due: { inMs: 0 }, by: { who: 'ada' } })
    await moveDue(bench.partition, { limit: 1 })
    expect((await add(mode)).kind).toBe('enqueued')
    await settleOne({ kind: 'succeeded', status: 200, durationMs: 1 })
    expect((await add('until_finished')).kind, "the end of the debounced job frees no key that is another job's").toBe(
      'duplicate',
    )
  },
)

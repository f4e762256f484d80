import { describe, expect, it } from 'vitest'
import {
  cancel,
  enqueue,
  moveDue,
  purge,
  readCounts,
  readLeased,
  requestPurge,
  reschedule,
  type Settlement,
  settle,
  settleLeased,
  takeOver,
  type Unique,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

/** One key, jobs of several modes: who has the key says how long, who comes says what happens then. */
const bench = useBench({ consumer: 'd1' })

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

const finish = async (settlement: Settlement) => void (await settleOne(settlement))
const failure = { reason: 'http_status', durationMs: 1, lastResponse: { status: 500 } } as const
const by = { who: 'ada' }
/** Every way in which a job comes to its end. */
const ENDS: Record<string, (id: string) => Promise<unknown>> = {
  'it succeeds': () => finish({ kind: 'succeeded', status: 200, durationMs: 1 }),
  'it is a dead letter': () => finish({ kind: 'dead', ...failure }),
  'its worker ends it under a lease': async (id) => {
    const policy = {
      retries: 1,
      retryDelayMs: 1,
      backoff: { type: 'fixed', factor: 1, maxDelayMs: 1, jitter: 0 },
    } as const
    await finish({ kind: 'leased', leaseMs: 60_000, token: 't', durationMs: 1, policy })
    const leased = await readLeased(bench.partition, { id, token: 't' })
    await settleLeased(bench.partition, { id, token: 't', leased: leased!, word: { kind: 'succeeded' } })
  },
  'it is cancelled while it waits': (id) => cancel(bench.partition, { id, by }),
  'it is cancelled while it waits for its retry': async (id) => {
    await finish({ kind: 'retry', delayMs: 60_000, ...failure })
    await cancel(bench.partition, { id, by })
  },
  'it is cancelled while it runs': async (id) => {
    const [job] = await bench.take('d1')
    await cancel(bench.partition, { id, by })
    const settlement: Settlement = { kind: 'retry', delayMs: 0, ...failure }
    await settle(bench.partition, { consumer: 'd1', address: ADDRESS, attempts: [{ job: job!, settlement }] })
  },
  'it is purged': async () => {
    await requestPurge(bench.partition, { address: ADDRESS, token: 't', by })
    await purge(bench.partition, { address: ADDRESS, token: 't', by })
  },
  'it takes down its holders': async () => {
    await bench.take('d1')
    await lapse('d1')
    await bench.join('d2')
    await takeOver(bench.partition, { consumer: 'd2', limit: 1, maxTakeovers: 1 })
  },
  'it is cancelled and its holder dies': async (id) => {
    await bench.take('d1')
    await cancel(bench.partition, { id, by })
    await lapse('d1')
    await bench.join('d2')
    await takeOver(bench.partition, { consumer: 'd2', limit: 1 })
  },
}
const lapse = (consumer: string) => bench.partition.redis.zadd(bench.partition.keys.consumers, '1', consumer)

describe.each(['until_started', 'until_finished', 'debounce'] as const)('the key of %s is free when', (mode) => {
  it.each(Object.keys(ENDS))('%s', async (how) => {
    const { id } = await add(mode)
    if (mode === 'debounce') {
      await reschedule(bench.partition, { id, due: { inMs: 0 }, by })
      await moveDue(bench.partition, { limit: 1 })
    }
    await ENDS[how]!(id)
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ waiting: 0, running: 0, scheduled: 0 })
    expect((await add('until_finished')).kind).toBe('enqueued')
  })

  it('it expires', async () => {
    const meta = { unique: { key: KEY, mode }, expiresAtMs: 1 }
    const job = { address: ADDRESS, lane: 'normal' as const, data: '1', unique: MODES[mode], meta }
    const [result] = await enqueue(bench.partition, [job])
    await reschedule(bench.partition, { id: result!.id, due: { inMs: 0 }, by })
    await moveDue(bench.partition, { limit: 1 })
    await bench.take('d1')
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ expired: 1, waiting: 0 })
    expect((await add('until_finished')).kind).toBe('enqueued')
  })
})

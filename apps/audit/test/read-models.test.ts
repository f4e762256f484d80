import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findGas, findQueueStats, findTicks } from '../src/queries/read-models.ts'
import { areReadModelsCurrent, RebuildFencedError, rebuildReadModels } from '../src/read-models/rebuild.ts'
import { sweepQueueStats } from '../src/read-models/retention.ts'
import { MODEL_TABLES } from '../src/read-models/rows.ts'
import { openStore, type Store } from '../src/store/open-store.ts'
import { logOf, mixedLog, record, type Said, START_MS, tick } from './log-events.ts'
import { DATABASES, newLocation, runSql, type StoreLocation } from './support.ts'

let home: string
let location: StoreLocation
let store: Store

const JOB = 'job_19b76e4d80000000000'
const job = (type: string, data: unknown = {}, atMs = 0): Said => ({ type, data, atMs, entityId: JOB })
const TICK = { tickId: 'shop/nightly@2026-01-01T00:00:00.000Z', scheduledAt: '2026-01-01T00:00:00.000Z' }

/** A life of a job with a failure, a takeover and a success. */
const LIFE: Said[] = [
  job('job.enqueued', { lane: 'normal', data: { customer: { id: 42 } } }),
  job('job.started', { attempt: 1, epoch: 1, consumer: 'd-1' }, 500),
  job('job.attempt_failed', { attempt: 1, epoch: 1, reason: 'timeout', durationMs: 100, nextAttemptAtMs: 1 }, 600),
  job('job.ready', {}, 1000),
  job('job.started', { attempt: 2, epoch: 2, consumer: 'd-1' }, 1010),
  job('job.taken_over', { attempt: 2, epoch: 3, from: 'd-1', consumer: 'd-2' }, 60_100),
  job('job.succeeded', { attempt: 2, epoch: 3, status: 200, durationMs: 40 }, 60_200),
]

async function everyRow(): Promise<Record<string, unknown>> {
  const tables = MODEL_TABLES.map(async (name) => {
    const rows = await runSql(location, `SELECT * FROM ${name}`)
    return [name, rows.map((row) => JSON.stringify(row)).toSorted()] as const
  })
  return Object.fromEntries(await Promise.all(tables))
}

describe.each(DATABASES)('the read models in %s', (database) => {
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'millrace-models-'))
    location = await newLocation(database, home)
    store = await openStore(location)
  })
  afterEach(async () => {
    await store.close()
    await rm(home, { recursive: true, force: true })
  })

  it('have each delivery of a job, with how it ended', async () => {
    await record(store, logOf(LIFE), { size: 2 })
    const attempts = await store.read.selectFrom('attempts').selectAll().orderBy('epoch').execute()
    expect(attempts).toMatchObject([
      { epoch: 1, attempt: 1, outcome: 'failed', reason: 'timeout', duration_ms: 100, consumer: 'd-1' },
      { epoch: 2, attempt: 2, outcome: 'taken_over', finished_at_ms: START_MS + 60_100 },
      { epoch: 3, attempt: 2, outcome: 'succeeded', status: 200, reason: null, consumer: 'd-2' },
    ])
  })

  it('count what happens in a queue by minute, hour and day', async () => {
    await record(store, logOf(LIFE), { size: 3 })
    const stats = async (resolution: string) =>
      (await findQueueStats(store.read, { resolution, limit: 10 })).map(({ start_ms, ...row }) => ({
        ...row,
        start: (start_ms - START_MS) / 60_000,
      }))
    expect(await stats('minute')).toMatchObject([
      { start: 1, enqueued: 0, succeeded: 1, run_ms: 40 },
      { start: 0, enqueued: 1, started: 2, failed: 1, wait_ms: 510, max_wait_ms: 500, run_ms: 100 },
    ])
    const whole = [{ start: 0, enqueued: 1, started: 2, failed: 1, succeeded: 1, run_ms: 140, max_run_ms: 100 }]
    expect(await stats('hour')).toMatchObject(whole)
    expect(await stats('day')).toMatchObject(whole)
  })

  it('keep statistics of minutes for two days, of hours for two months, of days for good', async () => {
    await record(store, logOf(LIFE))
    const left = async () => {
      const rows = await store.read.selectFrom('queue_stats').select('resolution').orderBy('resolution').execute()
      return rows.map(({ resolution }) => resolution)
    }
    const HOUR_MS = 3_600_000
    await sweepQueueStats(store, START_MS + 48 * HOUR_MS)
    expect(await left()).toEqual(['day', 'hour', 'minute', 'minute'])
    await sweepQueueStats(store, START_MS + 49 * HOUR_MS)
    expect(await left()).toEqual(['day', 'hour'])
    await sweepQueueStats(store, START_MS + (62 * 24 + 1) * HOUR_MS)
    expect(await left()).toEqual(['day'])
    expect(await findQueueStats(store.read, { resolution: 'day', limit: 10 })).toMatchObject([
      { enqueued: 1, started: 2, failed: 1, succeeded: 1 },
    ])
  })

  it('say what became of each nominal time, with its job and its gas', async () => {
    const enqueued = {
      ...job('job.enqueued', { meta: { tick: { id: TICK.tickId } }, data: {} }),
      queue: 'schedule:nightly',
    }
    await record(
      store,
      logOf([
        tick('schedule.planned', { rule: { cron: '0 0 * * *' }, nextAtMs: START_MS, tz: '2025c' }),
        tick('schedule.fired', { ...TICK, lateMs: 1500 }, 1500),
        { ...enqueued, atMs: 1500 },
        { ...job('job.succeeded', { attempt: 1, epoch: 1 }, 1600), queue: 'schedule:nightly' },
        tick('gas.charged', { tickId: TICK.tickId, jobId: JOB, tokens: 2 }, 1600),
        tick('gas.charged', { tickId: TICK.tickId, jobId: JOB, tokens: 2 }, 1700),
        tick('schedule.skipped', {
          count: 1,
          reason: 'overlap',
          from: '2026-01-02T00:00:00.000Z',
          to: '2026-01-02T00:00:00.000Z',
        }),
        tick('schedule.missed', {
          count: 3,
          reason: 'window',
          from: '2026-01-03T00:00:00.000Z',
          to: '2026-01-05T00:00:00.000Z',
        }),
        tick('schedule.paused', { who: 'ada' }, 1800),
      ]),
      { size: 2 },
    )
    expect(await findTicks(store.read, { limit: 10 })).toMatchObject([
      { state: 'missed', reason: 'window', count: 3, until_ms: Date.parse('2026-01-05') },
      { state: 'skipped', reason: 'overlap', until_ms: null },
      { id: TICK.tickId, state: 'late', late_ms: 1500, job_id: JOB, job_state: 'succeeded', gas: 2 },
    ])
    expect(await store.read.selectFrom('schedules').selectAll().execute()).toMatchObject([
      { name: 'nightly', fired: 1, skipped: 1, missed: 3, next_at_ms: START_MS, paused_by: 'ada' },
    ])
    expect(await findGas(store.read, { by: 'day', limit: 10 })).toEqual([
      { day: '2026-01-01', namespace: 'shop', schedule: '', tokens: 2, ticks: 1 },
    ])
  })

  it('count the events of a subscription, what it lost and what is brought again', async () => {
    const said = (type: string, data: unknown, kind: 'job' | 'queue' = 'queue'): Said => ({
      ...{
        kind,
        type,
        data,
        queue: 'subscription:orders',
        entityId: kind === 'job' ? JOB : 'queue/subscription:orders',
      },
    })
    await record(
      store,
      logOf([
        said('job.enqueued', { event: 'x' }, 'job'),
        said('subscription.lost_events', { partition: 0 }),
        said('replay.started', { who: 'ada', replayId: 'r1' }),
        said('replay.finished', { who: 'ada', replayId: 'r1', replayed: 12 }),
      ]),
    )
    expect(await store.read.selectFrom('subscriptions').selectAll().execute()).toMatchObject([
      { name: 'orders', events: 1, losses: 1, replay_id: 'r1', replay_state: 'finished', replayed: 12 },
    ])
  })

  it('are the same rows however the log is cut into batches, and when they are made again', async () => {
    const events = logOf(mixedLog(400))
    await record(store, events, { size: 37 })
    const rows = await everyRow()
    expect(Object.values(rows).every((table) => (table as unknown[]).length > 0)).toBe(true)
    await rebuildReadModels(store, { now: () => 5 })
    expect(await everyRow()).toEqual(rows)
    // And once more: the tables of the first rebuild are those that the second finds.
    await runSql(location, 'DELETE FROM jobs')
    await runSql(location, 'UPDATE queue_stats SET enqueued = 7')
    await rebuildReadModels(store, { now: () => 6 })
    expect(await everyRow()).toEqual(rows)
  })

  it('are made again while recording goes on, and readers never see half of them', async () => {
    await record(store, logOf(mixedLog(3000)))
    const before = (await everyRow()).jobs as unknown[]
    let recorded = 3000
    const seen: number[] = []
    const done = rebuildReadModels(store, { now: () => 5 })
    let running = true
    done.finally(() => {
      running = false
    })
    while (running) {
      // As the recorder does: SQLite answers at once, and without this nobody else would have a turn.
      await new Promise((resolve) => setImmediate(resolve))
      await record(store, logOf(mixedLog(50), { from: recorded }))
      recorded += 50
      seen.push((await store.read.selectFrom('jobs').select('id').execute()).length)
    }
    await done
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(before.length)
    const live = await everyRow()
    await rebuildReadModels(store, { now: () => 6 })
    expect(await everyRow()).toEqual(live)
    expect((await store.trail.readCursor(0)).seq).toBe(recorded)
  })

  it('keep their indexes over a rebuild', async () => {
    await record(store, logOf(LIFE))
    const names = () =>
      runSql(
        location,
        database === 'SQLite'
          ? "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
          : "SELECT indexname AS name FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%pkey' ORDER BY 1",
      )
    const before = await names()
    await rebuildReadModels(store, { now: () => 5 })
    expect(await names()).toEqual(before)
    expect(before.length).toBeGreaterThan(7)
  })

  it('are left as they were by a rebuild that is given up or overtaken', async () => {
    await record(store, logOf(mixedLog(2500)))
    const rows = await everyRow()
    const abort = new AbortController()
    const given = rebuildReadModels(store, {
      now: () => 5,
      abort: abort.signal,
      onProgress: () => abort.abort(new Error('no')),
    })
    await expect(given).rejects.toThrow('no')
    expect(await everyRow()).toEqual(rows)
    const older = rebuildReadModels(store, { now: () => 6 })
    const younger = rebuildReadModels(store, { now: () => 7 })
    const ends = await Promise.allSettled([older, younger])
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(ends.find(({ status }) => status === 'rejected')).toMatchObject({ reason: expect.any(RebuildFencedError) })
    expect(await everyRow()).toEqual(rows)
  })

  it('are known to be of this version, or to have to be made again', async () => {
    expect(await areReadModelsCurrent(store, 1)).toBe(true)
    await record(store, logOf(LIFE))
    expect(await areReadModelsCurrent(store, 2)).toBe(true)
    await runSql(location, 'UPDATE read_models SET version = 0')
    expect(await areReadModelsCurrent(store, 3)).toBe(false)
    await rebuildReadModels(store, { now: () => 4 })
    expect(await areReadModelsCurrent(store, 5)).toBe(true)
  })

  it('add up what nobody can have taken without leaving the numbers that can be read back', async () => {
    const took = (durationMs: number) => job('job.succeeded', { attempt: 1, epoch: 1, durationMs })
    await record(store, logOf([took(Number.MAX_SAFE_INTEGER), took(-5), took(1000)]))
    const runs = async () => (await findQueueStats(store.read, { resolution: 'day', limit: 1 }))[0]?.run_ms
    expect(await runs()).toBe(1000)
    await runSql(location, `UPDATE queue_stats SET run_ms = ${Number.MAX_SAFE_INTEGER - 10}`)
    await record(store, logOf([took(11)], { from: 3 }))
    await record(store, logOf([took(11)], { from: 4 }))
    expect(await runs()).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('take any data of any event without failing', async () => {
    const types = [
      'job.enqueued',
      'job.started',
      'job.succeeded',
      'job.attempt_failed',
      'job.taken_over',
      'schedule.fired',
    ]
    const more = ['schedule.planned', 'schedule.skipped', 'schedule.missed', 'gas.charged', 'subscription.lost_events']
    const odd = fc.record({
      type: fc.constantFrom(...types, ...more),
      kind: fc.constantFrom('job', 'schedule', 'queue') as fc.Arbitrary<'job'>,
      queue: fc.constantFrom('', 'q', 'schedule:', 'schedule:x', 'subscription:y', 'odd:z', 'a:b:c'),
      entityId: fc.constantFrom('', 'job_x', JOB, 'schedule:x'),
      data: fc.oneof(
        fc.json(),
        fc.dictionary(
          fc.constantFrom(
            'attempt',
            'epoch',
            'reason',
            'status',
            'durationMs',
            'tickId',
            'count',
            'from',
            'meta',
            'tokens',
          ),
          fc.oneof(fc.integer(), fc.double(), fc.string({ unit: 'binary' }), fc.maxSafeInteger(), fc.jsonValue()),
        ),
      ),
    })
    let from = 0
    await fc.assert(
      fc.asyncProperty(fc.array(odd, { maxLength: 20 }), async (said) => {
        await record(store, logOf(said as Said[], { from }))
        from += said.length
      }),
      { numRuns: 30 },
    )
  })
})

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@millrace/testkit'
import { sql } from 'kysely'
import { expect, it } from 'vitest'
import { openStore } from '../src/store/open-store.ts'
import { logOf, record, type Said } from './log-events.ts'
import {
  appendEvents,
  type Chain,
  type Emitted,
  type Everything,
  emitBody,
  newLocation,
  type Problem,
  postgresServer,
  recorded,
  startRig,
} from './support.ts'

it('waits while PostgreSQL is down, accepts emits meanwhile, and catches up by itself', {
  timeout: 240_000,
}, async () => {
  const rig = await startRig({ database: 'PostgreSQL', appendonly: true, appendfsync: 'always' })
  const postgres = await postgresServer()
  const app = await rig.startAudit()
  await appendEvents(rig.partition, 50)
  await recorded(rig, 50)

  await postgres.kill()
  await appendEvents(rig.partition, 2000)
  const emitted = await app.post<Emitted>('/v1/events/emit', emitBody({ entityId: 'meanwhile' }))
  expect([emitted.status, emitted.body.data]).toEqual([202, { eventId: expect.any(String) }])
  const asked = await app.get<Problem>('/v1/events?namespace=shop')
  expect([asked.status, asked.body.code]).toEqual([503, 'store.unavailable'])
  const ready = await app.get<{ problems: Record<string, string> }>('/readyz')
  expect([ready.status, Object.keys(ready.body.problems)]).toEqual([503, expect.arrayContaining(['store'])])
  expect((await fetch(`${app.url}/livez`)).status).toBe(200)
  // The log holds what is not recorded: nothing was trimmed.
  expect(await rig.partition.redis.xlen(rig.partition.keys.log)).toBeGreaterThanOrEqual(2051)

  await postgres.restart()
  await recorded(rig, 2051)
  expect((await app.get<Chain>('/v1/events/meanwhile/chain?namespace=shop')).body.data.totalEvents).toBe(1)
  expect((await app.get<Everything>('/v1/verify')).body).toMatchObject({ records: 2051, valid: true })
  await eventually(async () => (await fetch(`${app.url}/readyz`)).ok, { what: '/readyz to be well again' })
  await rig.stop()
})

it('survives crashes of PostgreSQL while it records, without a gap or a double', { timeout: 240_000 }, async () => {
  const rig = await startRig({ database: 'PostgreSQL', appendonly: true, appendfsync: 'always' })
  const postgres = await postgresServer()
  await appendEvents(rig.partition, 12_000, 50)
  const app = await rig.startAudit()
  for (const upTo of [1000, 5000]) {
    await eventually(async () => Number((await rig.sql('SELECT COUNT(*) AS n FROM records'))[0]?.n) >= upTo, {
      timeoutMs: 40_000,
      intervalMs: 5,
      what: `${upTo} records`,
    })
    await postgres.restart()
  }
  await recorded(rig, 12_000)
  expect((await app.get<Everything>('/v1/verify')).body).toMatchObject({ records: 12_000, valid: true, broken: [] })
  await rig.stop()
})

it('answers and takes emits while its disk is full, and records what came meanwhile', async () => {
  const rig = await startRig({ database: 'SQLite' })
  const app = await rig.startAudit()
  await appendEvents(rig.partition, 50)
  await recorded(rig, 50)
  // Of this process alone: no file of it can be written beyond its first bytes.
  const limitFiles = (bytes: string) =>
    execFileSync('prlimit', ['--pid', String(app.process.pid), `--fsize=${bytes}:unlimited`], { stdio: 'ignore' })
  limitFiles('1024')
  await appendEvents(rig.partition, 1000)
  const emitted = await app.post<Emitted>('/v1/events/emit', emitBody({ entityId: 'meanwhile' }))
  expect([emitted.status, emitted.body.data]).toEqual([202, { eventId: expect.any(String) }])
  await eventually(
    async () => {
      const { status, body } = await app.get<{ problems?: Record<string, string> }>('/readyz')
      return status === 503 && /full|disk/.test(JSON.stringify(body.problems))
    },
    { what: '/readyz to name the disk' },
  )
  expect((await app.get<Everything>('/v1/verify')).body).toMatchObject({ records: 50, valid: true })
  limitFiles('unlimited')
  await recorded(rig, 1051)
  expect((await app.get<Everything>('/v1/verify')).body).toMatchObject({ records: 1051, valid: true })
  await eventually(async () => (await fetch(`${app.url}/readyz`)).ok, { what: '/readyz to be well again' })
  await rig.stop()
})

it('writes nothing of a batch into a full SQLite file, and takes it up when there is room again', async () => {
  const home = await mkdtemp(join(tmpdir(), 'millrace-full-'))
  const store = await openStore(await newLocation('SQLite', home))
  const events = logOf(
    Array.from({ length: 300 }, (_, n): Said => ({ type: 'job.enqueued', data: { data: 'x'.repeat(n) } })),
  )
  await record(store, events.slice(0, 100))
  const limitPages = (pages: number) => store.write(({ db }) => sql.raw(`PRAGMA max_page_count = ${pages}`).execute(db))
  await limitPages(1)
  await expect(record(store, events.slice(100))).rejects.toThrow(/full/)
  expect((await store.trail.readCursor(0)).seq).toBe(100)
  expect(await store.read.selectFrom('jobs').select('id').execute()).toHaveLength(100)
  await limitPages(1_000_000)
  await record(store, events.slice(100))
  expect((await store.trail.readCursor(0)).seq).toBe(300)
  expect(await store.read.selectFrom('jobs').select('id').execute()).toHaveLength(300)
  await store.close()
  await rm(home, { recursive: true, force: true })
})

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import type { LogEvent } from '@millrace/contracts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyStore } from '../src/queries/verify.ts'
import { readEntries, toBatch } from '../src/recorder/batch.ts'
import { type Cursor, NO_CURSOR } from '../src/store/cursor.ts'
import { MIGRATIONS } from '../src/store/migrations/index.ts'
import { openStore, type Store } from '../src/store/open-store.ts'
import type { JobRow } from '../src/store/schema.ts'
import { StoreError } from '../src/store/store-error.ts'
import { TABLES } from '../src/store/tables.ts'
import { FencedError } from '../src/store/trail.ts'
import { DATABASES, newLocation, runSql, type StoreLocation } from './support.ts'

let home: string
let location: StoreLocation
let store: Store

const JOB: JobRow = {
  ...{ id: '', namespace: 'shop', queue: 'q', kind: 'queue', state: 'waiting', attempts: 0, enqueued_at_ms: 1 },
  ...{
    updated_at_ms: 1,
    finished_at_ms: null,
    next_attempt_at_ms: null,
    reason: null,
    ready_at_ms: null,
    started_at_ms: null,
    status: null,
    discarded_at_ms: null,
  },
}

const verify = () => verifyStore(store.read, { onChain: () => undefined, abort: new AbortController().signal })

function batch(from: Cursor, count: number, partition = 0) {
  const events = Array.from({ length: count }, (_, index): LogEvent => {
    const position = `1767225600000-${from.seq + index}`
    const entityId = `entity-${index % 3}`
    return {
      position,
      endsEntry: true,
      partition,
      kind: 'audit',
      type: 'x.y',
      namespace: 'shop',
      queue: '',
      entityId,
      data: '{}',
    }
  })
  return toBatch(readEntries(events, randomBytes), { partition, from })
}

describe.each(DATABASES)('in %s', (database) => {
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'millrace-store-'))
    location = await newLocation(database, home)
    store = await openStore(location)
  })
  afterEach(async () => {
    await store.close()
    await rm(home, { recursive: true, force: true })
  })

  it('appends batch after batch, and the cursor moves with them', async () => {
    const { cursor } = await store.trail.append(batch(NO_CURSOR, 10))
    await store.trail.append(batch(cursor, 5))
    expect(await store.trail.readCursor(0)).toEqual({ position: '1767225600000-14', entriesRead: 15, seq: 15 })
    expect(await verify()).toMatchObject({ chains: 3, records: 15, valid: true })
  })

  it('refuses a recorder that comes from an old cursor, and writes nothing of its batch', async () => {
    const late = batch(NO_CURSOR, 4)
    await store.trail.append(batch(NO_CURSOR, 10))
    await expect(store.trail.append(late)).rejects.toThrow(FencedError)
    expect(await verify()).toMatchObject({ records: 10, valid: true })
  })

  it('chains one entity through two partitions without a fork', async () => {
    await store.trail.append(batch(NO_CURSOR, 6, 0))
    await store.trail.append(batch(NO_CURSOR, 6, 1))
    const finding = await verify()
    expect(finding).toMatchObject({ chains: 3, records: 12, valid: true })
    expect(finding.trails.map(({ partition, records }) => [partition, records])).toEqual([
      ['p0', 6],
      ['p1', 6],
    ])
  })

  it('finds a store of many pages whole, and a chain that is longer than a page as well', async () => {
    let cursor = NO_CURSOR
    for (let round = 0; round < 4; round++) cursor = (await store.trail.append(batch(cursor, 1500))).cursor
    expect(await verify()).toMatchObject({ chains: 3, records: 6000, valid: true })
  })

  it('opens a store again with its data, and applies no migration twice', async () => {
    await store.trail.append(batch(NO_CURSOR, 3))
    const again = await openStore(location)
    expect((await again.trail.readCursor(0)).seq).toBe(3)
    await again.close()
  })

  it('refuses a store that a newer version has migrated', async () => {
    await runSql(location, "INSERT INTO migrations (name, applied_at) VALUES ('9999_future', 'later')")
    await expect(openStore(location)).rejects.toThrow(/9999_future/)
  })

  it('knows the migrations that a store has had when they were files of SQL', async () => {
    await runSql(location, "UPDATE migrations SET name = name || '.sql'")
    await (await openStore(location)).close()
    expect(await runSql(location, 'SELECT name FROM migrations')).toHaveLength(Object.keys(MIGRATIONS).length)
  })

  it('migrates once when several processes open it for the first time together', async () => {
    const fresh = await newLocation(database, join(home, 'fresh'))
    const stores = await Promise.all([openStore(fresh), openStore(fresh), openStore(fresh)])
    const applied = await runSql(fresh, 'SELECT name FROM migrations ORDER BY name')
    expect(applied.map(({ name }) => name)).toEqual(Object.keys(MIGRATIONS))
    await Promise.all(stores.map((opened) => opened.close()))
  })

  it('writes one transaction after the other, and lets nothing half-written behind', async () => {
    const ends: string[] = []
    const slow = store.write(async ({ db, put }) => {
      await put('heads', [{ namespace: 'shop', entity_id: 'a', length: 1, hash: 'x' }])
      await db.selectFrom('heads').selectAll().execute()
      ends.push('slow')
      throw new Error('changed my mind')
    })
    const quick = store.write(async ({ find }) => {
      expect(await find('heads', [['shop', 'a']])).toEqual([])
      ends.push('quick')
    })
    await expect(slow).rejects.toThrow('changed my mind')
    await quick
    expect(ends).toEqual(['slow', 'quick'])
  })

  it('keeps what readers see apart from a transaction that is not committed', async () => {
    await store.write(async ({ insert }) => {
      await insert('heads', [{ namespace: 'shop', entity_id: 'a', length: 1, hash: 'x' }])
      expect(await store.read.selectFrom('heads').selectAll().execute()).toEqual([])
    })
    expect(await store.read.selectFrom('heads').selectAll().execute()).toHaveLength(1)
  })

  it('finds, inserts and replaces rows by key, nulls and odd texts included', async () => {
    const odd = 'a "quoted", {braced}\\ \n text \u{1f600} NULL'
    const job = { ...JOB, id: 'job_1', reason: odd }
    await store.write(({ insert }) => insert('jobs', [job, { ...JOB, id: 'job_2' }]))
    await store.write(({ put }) =>
      put('jobs', [
        { ...job, attempts: 3 },
        { ...JOB, id: 'job_3', reason: '' },
      ]),
    )
    const found = await store.write(({ find }) => find('jobs', [['job_1'], ['job_3'], ['job_none']]))
    expect(found.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
      { ...job, attempts: 3 },
      { ...JOB, id: 'job_3', reason: '' },
    ])
    const doubled = store.write(({ insert }) => insert('jobs', [job]))
    await expect(doubled).rejects.toMatchObject({ name: 'StoreError', isDouble: true })
  })

  it('says what went wrong in the database as a StoreError, to readers and writers alike', async () => {
    await runSql(location, 'DROP TABLE jobs')
    await expect(store.read.selectFrom('jobs').selectAll().execute()).rejects.toThrow(StoreError)
    await expect(store.write(({ find }) => find('jobs', [['x']]))).rejects.toMatchObject({ isDouble: false })
    await expect(store.write(({ db }) => db.deleteFrom('jobs').execute())).rejects.toThrow(StoreError)
  })

  it('goes on behind rows that somebody inserted, and without a head that somebody deleted; verify tells', async () => {
    const { cursor } = await store.trail.append(batch(NO_CURSOR, 6))
    await runSql(
      location,
      `INSERT INTO records SELECT 'evt_forged', partition, 6, namespace, entity_id, 2, kind, event_type, who, when_ms, record,
       event_hash, salt, data, erased_by FROM records WHERE entity_id = 'entity-0' AND chain_index = 1`,
    )
    await runSql(location, "DELETE FROM heads WHERE entity_id = 'entity-1'")
    const appended = await store.trail.append(batch(cursor, 6))
    expect(appended).toMatchObject({ obstructed: true, cursor: { seq: 13, entriesRead: 12 } })
    expect((await store.trail.append(batch(appended.cursor, 3))).obstructed).toBe(false)
    const finding = await verify()
    expect(finding.broken).toMatchObject([{ entityId: 'entity-0', brokenAt: 2 }])
    expect(finding).toMatchObject({ records: 16, valid: false })
  })

  it('takes up after the last record when the cursor was deleted', async () => {
    const { cursor } = await store.trail.append(batch(NO_CURSOR, 6))
    await runSql(location, 'DELETE FROM cursors')
    expect(await store.trail.readCursor(0)).toEqual(cursor)
    await store.trail.append(batch(cursor, 6))
    expect(await verify()).toMatchObject({ records: 12, valid: true })
  })

  it('gives a verification up when the process stops', async () => {
    await store.trail.append(batch(NO_CURSOR, 6))
    const abort = AbortSignal.abort(new Error('stopping'))
    await expect(verifyStore(store.read, { onChain: () => undefined, abort })).rejects.toThrow('stopping')
  })
})

it('says so while another process keeps the SQLite file locked, and goes on afterwards', async () => {
  home = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  location = await newLocation('SQLite', home)
  store = await openStore(location)
  const other = new DatabaseSync(location.path)
  other.exec('BEGIN IMMEDIATE')
  await expect(store.checkWritable()).rejects.toThrow(/locked/)
  await expect(store.trail.append(batch(NO_CURSOR, 3))).rejects.toThrow(/locked/)
  other.exec('ROLLBACK')
  other.close()
  await store.trail.append(batch(NO_CURSOR, 3))
  expect((await store.trail.readCursor(0)).seq).toBe(3)
  await store.close()
  await rm(home, { recursive: true, force: true })
})

it('writes on in a new thread when the one that writes dies, without what was not committed', async () => {
  const home = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  const threads: Worker[] = []
  const note = (worker: Worker) => threads.push(worker)
  process.on('worker', note)
  const store = await openStore(await newLocation('SQLite', home))
  const { cursor } = await store.trail.append(batch(NO_CURSOR, 3))
  const inTheMiddle = store.write(async ({ db, put }) => {
    await db.deleteFrom('records').execute()
    await threads[0]?.terminate()
    await put('heads', [{ namespace: 'shop', entity_id: 'lost', length: 1, hash: 'x' }])
  })
  await expect(inTheMiddle).rejects.toThrow(StoreError)
  await expect(inTheMiddle).rejects.toThrow(/thread that writes the audit store has ended/)
  await store.trail.append(batch(cursor, 2))
  expect(threads).toHaveLength(2)
  expect(await store.read.selectFrom('records').select('seq').execute()).toHaveLength(5)
  expect(await store.read.selectFrom('heads').select('hash').where('entity_id', '=', 'lost').execute()).toEqual([])
  // Between two transactions as well, and when it is to be closed.
  await threads[1]?.terminate()
  await store.checkWritable()
  await threads[2]?.terminate()
  await store.close()
  await expect(store.checkWritable()).rejects.toThrow(StoreError)
  process.off('worker', note)
  await rm(home, { recursive: true })
})

it('has the same tables and columns in both databases, and writes all of them', async () => {
  home = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  const sqlite = await newLocation('SQLite', home)
  const postgres = await newLocation('PostgreSQL', home)
  for (const place of [sqlite, postgres]) await (await openStore(place)).close()
  const inSqlite = await runSql(
    sqlite,
    `SELECT t.name AS "table", c.name AS "column" FROM sqlite_master t, pragma_table_info(t.name) c
     WHERE t.type = 'table' ORDER BY t.name, c.cid`,
  )
  const inPostgres = await runSql(
    postgres,
    `SELECT table_name AS "table", column_name AS "column" FROM information_schema.columns
     WHERE table_schema = 'public' ORDER BY table_name COLLATE "C", ordinal_position`,
  )
  expect(inPostgres).toEqual(inSqlite.map((row) => ({ ...row })))
  const written = Object.values(TABLES).flatMap((table) =>
    Object.keys(table.columns).map((column) => ({ table: String(table.name), column })),
  )
  const known = inPostgres.filter(({ table }) => table !== 'migrations')
  const byName = (a: object, b: object) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
  expect(written.toSorted(byName)).toEqual(known.toSorted(byName))
  await rm(home, { recursive: true, force: true })
})

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { LogEvent } from '@millrace/contracts'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { verifyStore } from '../src/queries/verify.ts'
import { toBatch } from '../src/recorder/batch.ts'
import { type Cursor, NO_CURSOR } from '../src/store/cursor.ts'
import { openStore, type Store } from '../src/store/open-store.ts'
import { FencedError } from '../src/store/trail.ts'

let directory: string
let store: Store

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  store = openStore(join(directory, 'deep', 'audit.sqlite'))
})
afterEach(async () => {
  await store.close()
  await rm(directory, { recursive: true, force: true })
})

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
  return toBatch(events, { partition, from, randomBytes })
}

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
  const again = openStore(join(directory, 'deep', 'audit.sqlite'))
  expect((await again.trail.readCursor(0)).seq).toBe(3)
  await again.close()
})

it('refuses a store that a newer version has migrated', () => {
  const path = join(directory, 'deep', 'audit.sqlite')
  const database = new DatabaseSync(path)
  database.exec("INSERT INTO migrations (name, applied_at) VALUES ('9999_future.sql', 'later')")
  database.close()
  expect(() => openStore(path)).toThrow(/9999_future\.sql/)
})

it('says so while another process keeps the file locked, and lets nothing half-written behind', async () => {
  const other = new DatabaseSync(join(directory, 'deep', 'audit.sqlite'))
  other.exec('BEGIN IMMEDIATE')
  expect(() => store.checkWritable()).toThrow(/locked/)
  await expect(store.trail.append(batch(NO_CURSOR, 3))).rejects.toThrow(/locked/)
  other.exec('ROLLBACK')
  other.close()
  await store.trail.append(batch(NO_CURSOR, 3))
  expect((await store.trail.readCursor(0)).seq).toBe(3)
})

it('goes on behind rows that somebody inserted, and without a head that somebody deleted; verify tells', async () => {
  const { cursor } = await store.trail.append(batch(NO_CURSOR, 6))
  const plain = new DatabaseSync(join(directory, 'deep', 'audit.sqlite'))
  plain.exec(
    `INSERT INTO records SELECT 'evt_forged', partition, 6, namespace, entity_id, 2, kind, event_type, who, when_ms, record,
       event_hash, salt, data FROM records WHERE entity_id = 'entity-0' AND chain_index = 1;
     DELETE FROM heads WHERE entity_id = 'entity-1'`,
  )
  plain.close()
  const appended = await store.trail.append(batch(cursor, 6))
  expect(appended).toMatchObject({ obstructed: true, cursor: { seq: 13, entriesRead: 12 } })
  expect((await store.trail.append(batch(appended.cursor, 3))).obstructed).toBe(false)
  const finding = await verify()
  expect(finding.broken).toMatchObject([{ entityId: 'entity-0', brokenAt: 2 }])
  expect(finding).toMatchObject({ records: 16, valid: false })
})

it('takes up after the last record when the cursor was deleted', async () => {
  const { cursor } = await store.trail.append(batch(NO_CURSOR, 6))
  const plain = new DatabaseSync(join(directory, 'deep', 'audit.sqlite'))
  plain.exec('DELETE FROM cursors')
  plain.close()
  expect(await store.trail.readCursor(0)).toEqual(cursor)
  await store.trail.append(batch(cursor, 6))
  expect(await verify()).toMatchObject({ records: 12, valid: true })
})

it('gives a verification up when the process stops', async () => {
  await store.trail.append(batch(NO_CURSOR, 6))
  const abort = AbortSignal.abort(new Error('stopping'))
  await expect(verifyStore(store.read, { onChain: () => undefined, abort })).rejects.toThrow('stopping')
})

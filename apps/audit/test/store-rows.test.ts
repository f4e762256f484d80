import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Key } from '../src/store/database.ts'
import { openStore, type Store } from '../src/store/open-store.ts'
import type { HeadRow } from '../src/store/schema.ts'
import { DATABASES, newLocation } from './support.ts'

let home: string
let store: Store

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'millrace-store-'))
})

afterEach(async () => {
  await store.close()
  await rm(home, { recursive: true, force: true })
})

const heads = (from: number, count: number): HeadRow[] =>
  Array.from({ length: count }, (_, nth) => ({ namespace: 'shop', entity_id: `e${from + nth}`, length: 1, hash: 'h' }))

const countHeads = async () => (await store.read.selectFrom('heads').select('hash').execute()).length

describe.each(DATABASES)('rows that are still being made, in %s', (database) => {
  beforeEach(async () => {
    store = await openStore(await newLocation(database, home))
  })

  it('are inserted as they come', async () => {
    async function* parts() {
      yield heads(0, 3)
      yield heads(3, 2)
    }
    await store.write(({ insertAll }) => insertAll('heads', parts()))
    expect(await countHeads()).toBe(5)
  })

  it('leave nothing behind when one of them cannot be made, or is there already', async () => {
    async function* broken() {
      yield heads(0, 3)
      throw new Error('it cannot be made')
    }
    async function* doubled() {
      yield heads(0, 3)
      yield heads(2, 2)
    }
    await expect(store.write(({ insertAll }) => insertAll('heads', broken()))).rejects.toThrow(/it cannot be made/)
    await expect(store.write(({ insertAll }) => insertAll('heads', doubled()))).rejects.toMatchObject({
      isDouble: true,
    })
    expect(await countHeads()).toBe(0)
    await store.write(({ insert }) => insert('heads', heads(0, 1)))
    expect(await countHeads()).toBe(1)
  })
})

it('looks keys up in the index and never reads a whole table for them, in PostgreSQL', async () => {
  store = await openStore(await newLocation('PostgreSQL', home))
  await store.write(({ insert }) => insert('heads', heads(0, 20_000)))
  const keys = Array.from({ length: 2000 }, (_, nth): Key => ['shop', `e${nth * 20}`])
  const { found, read } = await store.write(async ({ db, find }) => {
    const rows = await find('heads', keys)
    const counts = sql<{ whole: number; by_key: number }>`
      SELECT seq_tup_read AS whole, idx_scan AS by_key FROM pg_stat_xact_user_tables WHERE relname = 'heads'`
    return { found: rows.length, read: (await counts.execute(db)).rows[0] }
  })
  expect(found).toBe(1000)
  expect(read).toEqual({ whole: 0, by_key: 2000 })
})

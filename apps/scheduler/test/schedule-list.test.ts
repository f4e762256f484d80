import type { Backfill, Problem } from '@millrace/contracts'
import { eventually, type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { declare, schedulerOn } from './fixture.ts'

let redis: RedisServer
let running: Awaited<ReturnType<typeof schedulerOn>>
beforeAll(async () => {
  redis = await startRedis()
  await declareAll('paged', ['g', 'c', 'a', 'e'])
  await declareAll('other', ['z'])
  running = await schedulerOn(redis.url, { MILLRACE_PARTITIONS: '4' })
})
afterAll(async () => {
  await running.scheduler.stop()
  await redis.stop()
})

const declareAll = (namespace: string, names: readonly string[]) =>
  declare(
    redis,
    namespace,
    names.map((name) => ({ name, cron: '0 0 1 1 *' })),
  )

async function list(query: string) {
  const path = `/schedules?${query}`
  const { status, body } = await running.client.call<{
    schedules: { namespace: string; name: string }[]
    cursor?: string
  }>('GET', path)
  expect(status, JSON.stringify(body)).toBe(200)
  return { names: body.schedules.map(({ namespace, name }) => `${namespace}/${name}`), cursor: body.cursor }
}
const refused = async (query: string) => (await running.client.call<Problem>('GET', `/schedules?${query}`)).body

describe('GET /schedules', () => {
  it('has all at once, in order, and page by page the same', async () => {
    const all = ['other/z', 'paged/a', 'paged/c', 'paged/e', 'paged/g']
    expect(await list('')).toEqual({ names: all, cursor: undefined })
    const first = await list('limit=3')
    expect(first.names).toEqual(all.slice(0, 3))
    expect(await list(`limit=3&cursor=${first.cursor}`)).toEqual({ names: all.slice(3), cursor: undefined })
  })

  it('of a namespace has those alone', async () => {
    expect((await list('namespace=other')).names).toEqual(['other/z'])
    expect(await refused('namespace=nobody')).toMatchObject({ status: 404, code: 'service.unknown' })
  })

  it('neither repeats nor loses what stayed while it changes between pages', async () => {
    const first = await list('namespace=paged&limit=2')
    expect(first.names).toEqual(['paged/a', 'paged/c'])
    await declareAll('paged', ['a', 'b', 'd', 'g'])
    const behind = async () => (await list(`namespace=paged&cursor=${first.cursor}`)).names
    await eventually(async () => expect(await behind()).toEqual(['paged/d', 'paged/g']))
  })

  it('refuses a cursor that is not its own', async () => {
    const ofAnother = Buffer.from(JSON.stringify(['queues', 'paged', 'a'])).toString('base64url')
    for (const cursor of [ofAnother, 'garbage'])
      expect(await refused(`cursor=${cursor}`)).toMatchObject({
        status: 422,
        errors: [{ pointer: '/cursor', detail: expect.stringMatching(/not a cursor of this list: send/) }],
      })
  })
})

describe('GET /schedules/{ns}/{name}/backfills', () => {
  const RANGE = { from: '2026-03-01T00:00:00Z', to: '2026-03-02T00:00:00Z', again: true }
  const pathOf = (name: string) => `/schedules/filled/${name}/backfills`
  const begin = async (name: string, backfillId: string) => {
    const body = { ...RANGE, backfillId, who: 'ada' }
    expect((await running.client.call('POST', pathOf(name), { body })).status).toBe(202)
  }
  const page = async (name: string, query: string) => {
    const { status, body } = await running.client.call<{ backfills: Backfill[]; cursor?: string }>(
      'GET',
      `${pathOf(name)}?${query}`,
    )
    expect(status, JSON.stringify(body)).toBe(200)
    return { ids: body.backfills.map(({ id }) => id), cursor: body.cursor }
  }
  const refusal = async (query: string) => (await running.client.call<Problem>('GET', `${pathOf('a')}?${query}`)).body

  beforeAll(async () => {
    await declareAll('filled', ['a', 'b'])
    await eventually(async () => expect((await list('namespace=filled')).names).toHaveLength(2))
    // Of two that began in one millisecond the one with the higher id is first.
    for (const id of ['w', 'x', 'y', 'z']) await begin('a', id)
    for (const id of ['of-b', 'of-b-too']) await begin('b', id)
  })

  it('has all at once, the newest first, and page by page the same', async () => {
    expect(await page('a', '')).toEqual({ ids: ['z', 'y', 'x', 'w'], cursor: undefined })
    const first = await page('a', 'limit=3')
    expect(first.ids).toEqual(['z', 'y', 'x'])
    expect(await page('a', `limit=3&cursor=${first.cursor}`)).toEqual({ ids: ['w'], cursor: undefined })
  })

  it('neither repeats nor loses what stayed when another one begins between pages', async () => {
    const first = await page('a', 'limit=2')
    await begin('a', 'zz')
    expect((await page('a', `cursor=${first.cursor}`)).ids).toEqual(['x', 'w'])
    expect((await page('a', 'limit=1')).ids).toEqual(['zz'])
  })

  it('refuses a cursor of another schedule or none, and pages that are too large', async () => {
    const { cursor: ofAnother } = await page('b', 'limit=1')
    expect(ofAnother).toBeTypeOf('string')
    for (const cursor of [ofAnother, 'garbage'])
      expect(await refusal(`cursor=${cursor}`)).toMatchObject({
        status: 422,
        errors: [{ pointer: '/cursor', detail: expect.stringMatching(/not a cursor of this list: send/) }],
      })
    for (const limit of [0, 1001])
      expect(await refusal(`limit=${limit}`)).toMatchObject({ status: 422, errors: [{ pointer: '/limit' }] })
  })
})

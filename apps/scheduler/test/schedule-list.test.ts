import type { Problem } from '@millrace/contracts'
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

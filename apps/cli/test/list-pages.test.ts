import { type ChildHandle, freePort, type RedisServer, startProcess, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { callAll } from '../src/http.ts'

const MILLRACE = new URL('../bin/millrace.mjs', import.meta.url)
/** One more than fits a page. */
const MANY = 1001

let redis: RedisServer
let dispatcher: ChildHandle
let url: string
let env: Record<string, string>
beforeAll(async () => {
  redis = await startRedis()
  const port = String(await freePort())
  url = `http://127.0.0.1:${port}`
  env = { REDIS_URL: redis.url, MILLRACE_DISPATCHER_PORT: port }
  dispatcher = await startProcess({
    ...{ file: new URL('../../dispatcher/src/main.ts', import.meta.url), env },
    ...{ readyWhen: /dispatcher\.ready/, readyTimeoutMs: 60_000 },
  })
  const subscriptions = ['a', 'b', 'c'].map((name) => ({ name, delivery: 'pull' }))
  await send('PUT', '/services/shop', {
    ...{ manifest: { metadata: { name: 'shop' }, spec: { subscriptions } }, url: 'http://127.0.0.1:9' },
  })
})
afterAll(async () => {
  await dispatcher.stop()
  await redis.stop()
})

async function send(method: string, path: string, body: object): Promise<void> {
  const init = { method, headers: { 'content-type': 'application/json' } }
  const answer = await fetch(url + path, { ...init, body: JSON.stringify({ who: 'test', ...body }) })
  expect(answer.ok, await answer.text()).toBe(true)
}

it('follows cursors and links to the end, with what was asked for', async () => {
  const queues = await callAll<{ queue: string }>(url, '/queues?namespace=shop&limit=1', 'queues')
  expect(queues.map(({ queue }) => queue)).toEqual(['subscription:a', 'subscription:b', 'subscription:c'])
  const views = await callAll<{ id: string }>(url, '/subscriptions?namespace=shop&limit=2')
  expect(views.map(({ id }) => id)).toEqual(['shop.a', 'shop.b', 'shop.c'])
  await expect(callAll(url, '/queues?namespace=shop&cursor=x', 'queues')).rejects.toThrow(/\/cursor is not a cursor of/)
})

it('shows what one page does not hold', async () => {
  const makers = Array.from({ length: 20 }, async (_, maker) => {
    for (let index = maker; index < MANY; index += 20)
      await send('POST', '/keys', { name: `key ${index}`, grants: ['producer:shop'] })
  })
  await Promise.all(makers)
  const list = await startProcess({ file: MILLRACE, args: ['keys', 'list', '--json'], env })
  const { code } = await list.exited
  expect(code).toBe(0)
  const { keys } = JSON.parse(list.stdout()) as { keys: { name: string }[] }
  expect(new Set(keys.map(({ name }) => name)).size).toBe(MANY)
})

it('shows all queues', async () => {
  const queues = Array.from({ length: MANY - 1 }, (_, index) => ({ name: `queue-${index}`, delivery: 'pull' }))
  const manifest = { metadata: { name: 'many' }, spec: { queues } }
  await send('PUT', '/services/many', { manifest, url: 'http://127.0.0.1:9' })
  const list = await startProcess({ file: MILLRACE, args: ['queues', '--json'], env })
  expect((await list.exited).code).toBe(0)
  const shown = JSON.parse(list.stdout()) as { queues: { namespace: string; queue: string }[] }
  // Those of the subscriptions of shop as well.
  expect(new Set(shown.queues.map(({ namespace, queue }) => `${namespace}/${queue}`)).size).toBe(MANY + 2)
})

it('shows all replays of a subscription', async () => {
  await send('POST', '/subscriptions/shop.a/replay', { from: 'earliest' })
  const store = redis.client()
  const [key = ''] = await store.keys('*:replays')
  const [one = ''] = await store.hvals(key)
  // Copies of a real one: each that is asked for reads the log that those before it have made longer.
  const copies = Array.from({ length: MANY }, (_, index) => {
    const id = `replay_${index}`
    return [id, JSON.stringify({ ...JSON.parse(one), id })] as const
  })
  await store.hset(key, Object.fromEntries(copies))
  const list = await startProcess({ file: MILLRACE, args: ['subscriptions', 'replays', 'shop.a', '--json'], env })
  expect((await list.exited).code).toBe(0)
  const { replays } = JSON.parse(list.stdout()) as { replays: { id: string }[] }
  expect(new Set(replays.map(({ id }) => id)).size).toBe(MANY + 1)
})

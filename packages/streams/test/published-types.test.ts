import { type RedisServer, startRedis } from '@millrace/testkit'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { MAX_TYPES, REGISTRY_KEYS, REMEMBER_TYPES_MS, readTypes, rememberType } from '../src/index.ts'

const NOW = 1_800_000_000_000

let server: RedisServer
let redis: Redis
beforeAll(async () => {
  server = await startRedis()
  redis = server.client()
})
beforeEach(() => server.flush())
afterAll(() => server.stop())

it('remembers the types of each service, and forgets what was not published for long', async () => {
  await rememberType(redis, { namespace: 'shop', type: 'order.paid', nowMs: NOW })
  await rememberType(redis, { namespace: 'shop', type: 'order.lost', nowMs: NOW + 1 })
  await rememberType(redis, { namespace: 'constructor', type: 'a', nowMs: NOW })
  const types = { constructor: ['a'], shop: ['order.lost', 'order.paid'] }
  expect(await readTypes(redis, NOW + 1)).toEqual(new Map(Object.entries(types)))
  expect(await readTypes(redis, NOW + 1 + REMEMBER_TYPES_MS)).toEqual(new Map([['shop', ['order.lost']]]))
})

it('keeps the newest types of a service that makes them up as it goes', async () => {
  const made = Array.from({ length: MAX_TYPES + 5 }, (_, n) => [NOW + n, `shop t${n}`]).flat()
  await redis.zadd(REGISTRY_KEYS.published, ...(made as [number, string]))
  await rememberType(redis, { namespace: 'shop', type: 'last', nowMs: NOW + MAX_TYPES + 5 })
  const shop = (await readTypes(redis, NOW)).get('shop') ?? []
  expect(shop).toHaveLength(MAX_TYPES)
  expect(['t5', 't6', 'last'].map((type) => shop.includes(type))).toEqual([false, true, true])
})

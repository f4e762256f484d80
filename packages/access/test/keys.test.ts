import { readLogRange, registryPartition } from '@millrace/streams'
import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Authenticator, createAuthenticator, createKeyStore, type KeyStore } from '../src/index.ts'

const BY = { who: 'ada', why: 'a new service' }
const GRANTS = [{ role: 'producer', namespace: 'shop' }] as const
const ADMIN_KEY = 'a'.repeat(32)

let server: RedisServer
let keys: KeyStore
let authenticate: Authenticator
let nowMs: number
const bearer = (key: string) => authenticate(`Bearer ${key}`)
/** Longer than the apps remember a key. */
const later = () => {
  nowMs += 2001
}

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())
beforeEach(async () => {
  const redis = server.client()
  await redis.flushall()
  nowMs = Date.now()
  keys = createKeyStore(registryPartition(redis), () => nowMs)
  authenticate = createAuthenticator({ keys, adminKey: ADMIN_KEY, now: () => nowMs })
})

describe('an API key', () => {
  it('proves who sent a request, and what they may do', async () => {
    const { key, id } = await keys.create({ name: 'shop-api', grants: GRANTS }, BY)
    expect(await bearer(key)).toEqual({ id: expect.stringMatching(/^key:./), name: 'shop-api', grants: GRANTS })
    expect(await keys.list()).toMatchObject([{ id, name: 'shop-api', grants: ['producer:shop'], createdBy: 'ada' }])
  })

  it('is kept as a hash alone, in Redis and in the log', async () => {
    const { key } = await keys.create({ name: 'shop-api', grants: GRANTS }, BY)
    const secret = key.split('_').slice(2).join('_')
    const redis = server.client()
    const registry = registryPartition(redis)
    const stored = JSON.stringify([await redis.hgetall('{reg}:keys'), await readLogRange(registry, { count: 100 })])
    expect(stored).toContain('shop-api')
    expect(stored).not.toContain(secret)
    expect(JSON.stringify(await keys.list())).not.toMatch(/hash|secret"/)
  })

  it.each([
    ['nothing', undefined, 'auth.required'],
    ['another scheme', 'Basic YTpi', 'auth.invalid'],
    ['no key', 'Bearer hello', 'auth.invalid'],
    ['a key that nobody made', `Bearer mk_0123456789ab_${'x'.repeat(43)}`, 'auth.invalid'],
    ['a token where no issuer is configured', 'Bearer aaa.bbb.ccc', 'auth.invalid'],
    ['nearly the admin key', `Bearer ${'a'.repeat(31)}b`, 'auth.invalid'],
  ])('is needed: %s is refused', async (_what, authorization, code) => {
    await expect(authenticate(authorization)).rejects.toMatchObject({ code })
  })

  it('with another secret is refused', async () => {
    const { id } = await keys.create({ name: 'shop-api', grants: GRANTS }, BY)
    await expect(bearer(`mk_${id}_${'x'.repeat(43)}`)).rejects.toMatchObject({ code: 'auth.invalid' })
  })

  it('has two secrets for a while after it was rotated, and then the new one', async () => {
    const first = await keys.create({ name: 'shop-api', grants: GRANTS }, BY)
    const second = await keys.rotate(first.id, 60, BY)
    later()
    expect(await bearer(first.key)).toMatchObject({ name: 'shop-api' })
    expect(await bearer(second.key)).toMatchObject({ name: 'shop-api' })
    nowMs += 60_000
    await expect(bearer(first.key)).rejects.toMatchObject({ code: 'auth.invalid' })
    expect(await bearer(second.key)).toMatchObject({ name: 'shop-api' })
  })

  it('is refused once it was revoked, however often that is said, and cannot come back', async () => {
    const { id, key } = await keys.create({ name: 'shop-api', grants: GRANTS }, BY)
    await bearer(key)
    const { revokedAt } = await keys.revoke(id, BY)
    later()
    await expect(bearer(key)).rejects.toThrow(`was revoked at ${revokedAt}`)
    expect(await keys.revoke(id, BY)).toMatchObject({ revokedAt })
    await expect(keys.rotate(id, 0, BY)).rejects.toMatchObject({ code: 'key.revoked' })
  })

  it('expires at its time', async () => {
    const expiresAt = new Date(nowMs + 10_000).toISOString()
    const { key } = await keys.create({ name: 'ci', grants: GRANTS, expiresAt }, BY)
    expect(await bearer(key)).toMatchObject({ name: 'ci' })
    nowMs += 10_000
    await expect(bearer(key)).rejects.toThrow(`expired at ${expiresAt}`)
  })

  it('leaves a fact of each change, with who and why', async () => {
    const { id } = await keys.create({ name: 'shop-api', grants: GRANTS }, BY)
    await keys.rotate(id, 60, { who: 'grace' })
    await keys.revoke(id, { who: 'grace', why: 'left a log' })
    const facts = await readLogRange(registryPartition(server.client()), { count: 100 })
    expect(facts.map(({ type, entityId }) => [type, entityId])).toEqual([
      ['key.created', `key/${id}`],
      ['key.rotated', `key/${id}`],
      ['key.revoked', `key/${id}`],
    ])
    expect(JSON.parse(facts[2]?.data ?? '')).toMatchObject({ who: 'grace', why: 'left a log', name: 'shop-api' })
  })

  it('that two people rotate at once has the secret of one of them, and both hear of their own', async () => {
    const { id } = await keys.create({ name: 'shop-api', grants: GRANTS }, BY)
    const rotated = await Promise.all([keys.rotate(id, 3600, BY), keys.rotate(id, 3600, BY)])
    later()
    for (const { key } of rotated) expect(await bearer(key)).toMatchObject({ name: 'shop-api' })
  })

  it('of whoever sets the platform up may do everything', async () => {
    expect(await bearer(ADMIN_KEY)).toEqual({
      id: 'admin',
      name: 'admin key',
      grants: [{ role: 'admin', namespace: '*' }],
    })
  })

  it('that cannot be looked up is asked for again, and not taken for a wrong one', async () => {
    const { key } = await keys.create({ name: 'shop-api', grants: GRANTS }, BY)
    let down = true
    const sometimes = createAuthenticator({
      keys: { find: (id) => (down ? Promise.reject(new Error('Connection is closed.')) : keys.find(id)) },
      now: () => nowMs,
    })
    await expect(sometimes(`Bearer ${key}`)).rejects.toThrow('Connection is closed.')
    down = false
    expect(await sometimes(`Bearer ${key}`)).toMatchObject({ name: 'shop-api' })
  })
})

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ProblemError } from '@millrace/contracts'
import { registryPartition } from '@millrace/streams'
import { eventually, type RedisServer, startRedis } from '@millrace/testkit'
import Fastify, { type FastifyInstance } from 'fastify'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import {
  type Authenticator,
  createAuthenticator,
  createKeyStore,
  createTokenVerifier,
  guard,
  type KeyStore,
} from '../src/index.ts'

const BY = { who: 'ada', why: 'it was in a log' }
const GRANTS = [{ role: 'producer', namespace: 'shop' }] as const
/** Fifteen of them are what a check may take, on a machine with other work too. */
const RECHECK_MS = 25

let redis: RedisServer
let server: FastifyInstance
let keys: KeyStore
let nowMs: number
let ended: { reason: string; detail: string }[]
let checks: number
let closed: number
let released: Promise<void>
let release: () => void

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  await redis.client().flushall()
  nowMs = Date.now()
  keys = createKeyStore(registryPartition(redis.client()), () => nowMs)
})
afterEach(() => server.close())

/** A server whose answers go on until somebody ends them. */
async function serve(authenticate: Authenticator): Promise<string> {
  ended = []
  checks = 0
  closed = 0
  ;({ promise: released, resolve: release } = Promise.withResolvers<void>())
  server = Fastify({ forceCloseConnections: true })
  guard(server, {
    table: { 'GET /long': { roles: ['producer'], of: 'any' }, 'POST /long': { roles: ['producer'], of: 'any' } },
    authenticate: (authorization) => {
      checks++
      return authenticate(authorization)
    },
    end: (reply, reason, detail) => {
      ended.push({ reason, detail })
      reply.raw.destroy()
    },
    recheckMs: RECHECK_MS,
  })
  server.get('/long', (_request, reply) => {
    reply.hijack()
    reply.raw.once('close', () => closed++)
    reply.raw.writeHead(200).write('begun')
  })
  server.post('/long', async () => {
    await released
    return 'done'
  })
  return `${await server.listen({ port: 0, host: '127.0.0.1' })}/long`
}

const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })
const withKeys = () => createAuthenticator({ keys, now: () => nowMs })
const rest = (response: Response) => response.text().catch(() => 'broke off')

it('goes on as long as its key holds, and ends when it is revoked', async () => {
  const { key, id } = await keys.create({ name: 'shop', grants: GRANTS }, BY)
  const response = await fetch(await serve(withKeys()), bearer(key))
  await eventually(() => checks > 5)
  expect(ended).toEqual([])
  await keys.revoke(id, BY)
  // What the apps remember of a key is too old by then.
  nowMs += 2001
  expect(await rest(response)).toBe('broke off')
  expect(ended).toEqual([{ reason: 'refused', detail: expect.stringContaining('was revoked at') }])
})

it('ends when its key expires', async () => {
  const expiresAt = new Date(nowMs + 60_000).toISOString()
  const { key } = await keys.create({ name: 'shop', grants: GRANTS, expiresAt }, BY)
  const response = await fetch(await serve(withKeys()), bearer(key))
  nowMs += 60_000
  expect(await rest(response)).toBe('broke off')
  expect(ended).toEqual([{ reason: 'refused', detail: expect.stringContaining(`expired at ${expiresAt}`) }])
})

it('ends when the old secret of a rotated key has had its time', async () => {
  const { key, id } = await keys.create({ name: 'shop', grants: GRANTS }, BY)
  const response = await fetch(await serve(withKeys()), bearer(key))
  await keys.rotate(id, 60, BY)
  nowMs += 59_000
  const before = checks
  await eventually(() => checks > before + 5)
  expect(ended).toEqual([])
  nowMs += 1000
  expect(await rest(response)).toBe('broke off')
  expect(ended).toMatchObject([{ reason: 'refused' }])
})

it('ends when its token expires', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'a', alg: 'ES256' }] })
  const issuer = createServer((_request, response) => response.end(jwks))
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
  const tokens = createTokenVerifier({
    jwksUrl: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`,
    claim: 'roles',
  })
  // Ended three seconds ago: of the five that clocks may be apart, one or two are left.
  const token = await new SignJWT({ roles: ['producer:shop'] })
    .setProtectedHeader({ alg: 'ES256', kid: 'a' })
    .setSubject('ada')
    .setExpirationTime(Math.floor(Date.now() / 1000) - 3)
    .sign(privateKey)
  const authenticate = createAuthenticator({ keys, tokens, now: () => nowMs })
  const response = await fetch(await serve(authenticate), bearer(token))
  expect(response.status).toBe(200)
  expect(await rest(response)).toBe('broke off')
  expect(ended).toEqual([{ reason: 'refused', detail: expect.stringContaining('"exp"') }])
  await new Promise((resolve) => issuer.close(resolve))
})

it.each<[string, () => Promise<never>]>([
  ['is refused an answer', () => Promise.reject(new Error('Redis is away'))],
  ['waits for one', () => new Promise(() => undefined)],
  ['hears that the keys of the issuer are away', () => Promise.reject(new ProblemError('auth.unavailable', 'away'))],
])('goes on for a while when nobody can say whether the key holds, but not for ever: who asks %s', async (_, ask) => {
  const { key } = await keys.create({ name: 'shop', grants: GRANTS }, BY)
  const known = withKeys()
  const openedAt = performance.now()
  const response = await fetch(
    await serve((authorization) => (checks === 1 ? known(authorization) : ask())),
    bearer(key),
  )
  expect(await rest(response)).toBe('broke off')
  expect(ended).toEqual([{ reason: 'unavailable', detail: expect.any(String) }])
  // Fifteen checks, each of which might still have been answered.
  expect(performance.now() - openedAt).toBeGreaterThan(15 * RECHECK_MS)
})

it('is not asked about once it is over, or when it is no reading', async () => {
  const asked = new Map<string | undefined, number>()
  const known = withKeys()
  const url = await serve((authorization) => {
    asked.set(authorization, (asked.get(authorization) ?? 0) + 1)
    return known(authorization)
  })
  const [leaver, writer, reader] = await Promise.all(
    ['leaver', 'writer', 'reader'].map(async (name) => bearer((await keys.create({ name, grants: GRANTS }, BY)).key)),
  )
  const askedOf = (who: typeof leaver) => asked.get(who?.headers.authorization) ?? 0

  const leaving = new AbortController()
  const left = await fetch(url, { ...leaver, signal: leaving.signal })
  await eventually(() => askedOf(leaver) > 1)
  leaving.abort()
  await expect(left.text()).rejects.toThrow()
  await eventually(() => closed === 1)
  const atTheEnd = askedOf(leaver)
  const posting = fetch(url, { ...writer, method: 'POST' })
  await fetch(url, reader)
  // Ten turns of the one that still reads are time enough for one of the others.
  await eventually(() => askedOf(writer) > 0 && askedOf(reader) > 10)
  expect([askedOf(leaver), askedOf(writer)]).toEqual([atTheEnd, 1])
  release()
  expect((await posting).status).toBe(200)
})

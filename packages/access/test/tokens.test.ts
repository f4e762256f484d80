import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTokenVerifier } from '../src/index.ts'

type Pair = Awaited<ReturnType<typeof generateKeyPair>>

const ISSUER = 'https://id.example'
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const
const pairs = new Map<string, Pair>()
let issuer: Server
let jwksUrl: string

beforeAll(async () => {
  for (const alg of [...ALGORITHMS, 'PS256']) pairs.set(alg, await generateKeyPair(alg, { extractable: true }))
  const keys = await Promise.all(
    [...pairs].map(async ([alg, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid: alg, alg, use: 'sig' })),
  )
  issuer = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }))
  })
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
  jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`
})
afterAll(() => new Promise((resolve) => issuer.close(resolve)))

const verifier = () => createTokenVerifier({ jwksUrl, issuer: ISSUER, audience: 'millrace', claim: 'roles' })

interface Said {
  readonly alg?: string
  readonly kid?: string
  readonly roles?: unknown
  readonly issuer?: string
  readonly audience?: string
  readonly expires?: string
  readonly key?: Parameters<SignJWT['sign']>[0]
}

function token({
  alg = 'ES256',
  kid = alg,
  issuer = ISSUER,
  audience = 'millrace',
  expires = '5m',
  ...said
}: Said = {}) {
  const { roles = ['operator:shop', 'admin-of-another-system'] } = said
  return new SignJWT({ roles })
    .setProtectedHeader({ alg, kid })
    .setSubject('ada@example.com')
    .setIssuer(issuer)
    .setAudience(audience)
    .setExpirationTime(expires)
    .sign(said.key ?? (pairs.get(alg) as Pair).privateKey)
}

describe('a token', () => {
  it.each(ALGORITHMS)('that the issuer signed with %s proves who it is and their roles', async (alg) => {
    expect(await verifier()(await token({ alg }))).toEqual({
      id: 'token:ada@example.com',
      name: 'ada@example.com',
      grants: [{ role: 'operator', namespace: 'shop' }],
    })
  })

  it.each<[string, Said, RegExp]>([
    ['of another issuer', { issuer: 'https://other.example' }, /iss/],
    ['for another audience', { audience: 'billing' }, /aud/],
    ['that has expired', { expires: '-1m' }, /exp/],
    ['whose key the issuer does not have', { kid: 'ES999' }, /key/],
    ['signed in a way that is not allowed', { alg: 'PS256' }, /alg/],
    ['without a list of grants', { roles: 'operator:shop' }, /no list of grants in its claim "roles"/],
  ])('%s is refused, with the reason', async (_what, said, reason) => {
    const refused = await verifier()(await token(said)).catch((error) => error)
    expect(refused).toMatchObject({ code: 'auth.invalid' })
    expect(refused.message).toMatch(reason)
  })

  it('that somebody signed with a secret, or not at all, is refused', async () => {
    const own = await token({ alg: 'HS256', kid: 'RS256', key: new TextEncoder().encode('x'.repeat(32)) })
    await expect(verifier()(own)).rejects.toMatchObject({ code: 'auth.invalid' })
    const [, payload] = (await token()).split('.')
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
    await expect(verifier()(none)).rejects.toMatchObject({ code: 'auth.invalid' })
  })

  it('that was changed is refused', async () => {
    const [head, payload = '', signature] = (await token()).split('.')
    const changed = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const forged = Buffer.from(JSON.stringify({ ...changed, roles: ['admin:*'] })).toString('base64url')
    await expect(verifier()(`${head}.${forged}.${signature}`)).rejects.toMatchObject({ code: 'auth.invalid' })
  })

  it('cannot be judged while the keys of the issuer cannot be read: that is no fault of the sender', async () => {
    const unreachable = createTokenVerifier({ jwksUrl: 'http://127.0.0.1:9/jwks', claim: 'roles' })
    await expect(unreachable(await token())).rejects.toMatchObject({ code: 'auth.unavailable', retryAfterSeconds: 5 })
  })
})

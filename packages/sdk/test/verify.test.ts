import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { createSigningKey } from '@millrace/engine'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type MillraceError,
  type Secrets,
  type SignedRequest,
  verify,
  verifyExpress,
  verifyFastify,
  verifyFetch,
  verifyHono,
} from '../src/index.ts'

const hmac = () => `whsec_${randomBytes(32).toString('base64')}`
const [SECRET, OTHER] = [hmac(), hmac()]
const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
const [PRIVATE, PUBLIC] = [`whsk_${base64Of(d)}`, `whpk_${base64Of(x)}`]
const BODY = '{"jobId":"job_1","data":{"text":"Grüße","big":12345678901234567890}}'

function base64Of(base64url: string): string {
  return Buffer.from(base64url, 'base64url').toString('base64')
}

interface Made {
  readonly body?: string
  readonly secrets?: readonly string[]
  readonly ageSeconds?: number
}

/** A delivery as the dispatcher makes it. */
function delivery({ body = BODY, secrets = [SECRET], ageSeconds = 0 }: Made = {}) {
  const content = { id: 'job_1', timestamp: String(Math.floor(Date.now() / 1000) - ageSeconds), body }
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'webhook-id': content.id,
    'webhook-timestamp': content.timestamp,
    'webhook-signature': secrets.map((secret) => createSigningKey(secret)(content)).join(' '),
  }
  return { headers, body }
}

function without(request: { headers: Record<string, string>; body: string }, name: string) {
  const { [name]: _gone, ...headers } = request.headers
  return { ...request, headers }
}

/** Requests that are no deliveries, and why. */
const STRANGE = [
  [
    'a body of which one character was changed',
    () => ({ ...delivery(), body: BODY.replace('Grüße', 'Grüsse') }),
    'invalid',
  ],
  [
    'JSON that was parsed and written again',
    () => ({ ...delivery(), body: JSON.stringify(JSON.parse(BODY)) }),
    'invalid',
  ],
  ['the secret of another namespace', () => delivery({ secrets: [OTHER] }), 'invalid'],
  ['the signature of another request', () => ({ ...delivery({ body: '{}' }), body: BODY }), 'invalid'],
  ['another id', () => withHeader('webhook-id', 'job_2'), 'invalid'],
  [
    'a newer time than was signed',
    () => withHeader('webhook-timestamp', String(Math.floor(Date.now() / 1000) + 1)),
    'invalid',
  ],
  ['a signature cut short', () => withHeader('webhook-signature', 'v1,AAAA'), 'invalid'],
  ['a version that nobody knows', () => withHeader('webhook-signature', 'v9,x'), 'invalid'],
  ['a signature without its version', () => withHeader('webhook-signature', 'x'), 'invalid'],
  ['a time of ten minutes ago', () => delivery({ ageSeconds: 600 }), 'expired'],
  ['a time in ten minutes', () => delivery({ ageSeconds: -600 }), 'expired'],
  ['a time that is none', () => withHeader('webhook-timestamp', '2026-01-01'), 'missing'],
  ['no webhook-id', () => without(delivery(), 'webhook-id'), 'missing'],
  ['no webhook-timestamp', () => without(delivery(), 'webhook-timestamp'), 'missing'],
  ['no webhook-signature', () => without(delivery(), 'webhook-signature'), 'missing'],
] as const

function withHeader(name: string, value: string) {
  const request = delivery()
  return { ...request, headers: { ...request.headers, [name]: value } }
}

const codeOf = (request: SignedRequest, secrets: Secrets | undefined = SECRET) => {
  try {
    verify(request, secrets)
    return 'verified'
  } catch (error) {
    return (error as MillraceError).code
  }
}

describe('verify', () => {
  it('takes the example of the standard', () => {
    const request = {
      headers: {
        'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
        'webhook-timestamp': '1614265330',
        'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
      },
      body: '{"test": 2432232314}',
    }
    const verified = verify(request, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', { now: () => 1_614_265_330_000 })
    expect(verified).toEqual({ id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', signedAt: new Date(1_614_265_330_000) })
  })

  it('agrees with the library standardwebhooks, each with what the other has signed', () => {
    const { headers, body } = delivery()
    expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow()
    const signature = new Webhook(SECRET).sign('job_1', new Date(), body)
    expect(codeOf({ headers: { ...headers, 'webhook-signature': signature }, body })).toBe('verified')
  })

  it('takes headers of Node and of fetch, in any case, and bytes or text', () => {
    const { headers, body } = delivery()
    const upper = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]))
    for (const each of [headers, upper, new Headers(headers)]) {
      for (const raw of [body, Buffer.from(body), new TextEncoder().encode(body)]) {
        expect(codeOf({ headers: each, body: raw })).toBe('verified')
      }
    }
  })

  it('takes any of several secrets and any of several signatures, as in a rotation', () => {
    expect(codeOf(delivery(), [OTHER, SECRET])).toBe('verified')
    expect(codeOf(delivery(), ` ${OTHER}, ${SECRET}\n`)).toBe('verified')
    expect(codeOf(delivery({ secrets: [OTHER, SECRET] }))).toBe('verified')
    expect(codeOf(delivery({ secrets: [OTHER] }))).toBe('sdk.signature_invalid')
  })

  it('takes Ed25519 by the public key, alone or beside HMAC', () => {
    expect(codeOf(delivery({ secrets: [PRIVATE] }), PUBLIC)).toBe('verified')
    expect(codeOf(delivery({ secrets: [SECRET, PRIVATE] }), PUBLIC)).toBe('verified')
    expect(codeOf(delivery({ secrets: [SECRET, PRIVATE] }), [SECRET])).toBe('verified')
    expect(codeOf(delivery(), PUBLIC)).toBe('sdk.signature_invalid')
    const request = delivery({ secrets: [PRIVATE] })
    expect(codeOf({ ...request, body: `${BODY} ` }, PUBLIC)).toBe('sdk.signature_invalid')
    expect(codeOf({ ...request, headers: { ...request.headers, 'webhook-signature': 'v1a,AAAA' } }, PUBLIC)).toBe(
      'sdk.signature_invalid',
    )
  })

  it.each(STRANGE)('refuses %s', (_what, request, why) => {
    expect(codeOf(request())).toBe(`sdk.signature_${why}`)
  })

  it('looks at no more than ten signatures, however many a request has', () => {
    const good = delivery().headers['webhook-signature'] as string
    const many = (before: number) => withHeader('webhook-signature', `${'v1,AAAA '.repeat(before)}${good}`)
    expect([9, 10].map((before) => codeOf(many(before)))).toEqual(['verified', 'sdk.signature_invalid'])
  })

  it.each([
    ['nothing', undefined, 'millrace secrets rotate'],
    ['an empty text', '', 'millrace secrets rotate'],
    ['a private key', PRIVATE, 'whpk_'],
    ['a password', 'hunter2', 'whsec_'],
    ['too short a secret', 'whsec_AAAA', 'whsec_'],
  ])('says what is wrong with %s in place of a secret, without repeating it', (_what, secrets, hint) => {
    const verifying = () => verify(delivery(), secrets)
    expect(verifying).toThrow(expect.objectContaining({ code: 'sdk.invalid_input' }))
    expect(verifying).toThrow(hint)
    if (secrets) expect(verifying).not.toThrow(secrets)
  })

  it('says that it needs the bytes where it gets what was parsed of them', () => {
    const request = { ...delivery(), body: JSON.parse(BODY) as string }
    expect(() => verify(request, SECRET)).toThrow('raw bytes')
  })
})

const LIMIT = 1000
const options = { maxBodyBytes: LIMIT }
/** Each answers what its handler got, parsed by the framework as it always does. */
const FRAMEWORKS = {
  async express() {
    const app = express()
    app.use('/internal', verifyExpress(SECRET, options))
    app.use(express.json())
    app.post('/internal/jobs', (request, response) => void response.json(request.body))
    return createServer(app)
  },
  async fastify() {
    const app = fastify()
    app.register(async (internal) => {
      internal.addHook('preParsing', verifyFastify(SECRET, options))
      internal.post('/internal/jobs', async (request) => request.body)
    })
    await app.ready()
    return app.server
  },
  async hono() {
    const app = new Hono()
    app.use('/internal/*', verifyHono(SECRET, options))
    app.post('/internal/jobs', async (context) => context.json(await context.req.json()))
    return createAdaptorServer(app) as Server
  },
  async fetch() {
    const handler = verifyFetch(SECRET, async (request) => Response.json(await request.json()), options)
    return createAdaptorServer({ fetch: handler }) as Server
  },
} as const

describe.each(Object.entries(FRAMEWORKS))('the middleware for %s', (_name, start) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterAll(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  })
  const send = async (request: { headers: Record<string, string>; body: string | ReadableStream }) => {
    const { port } = server.address() as AddressInfo
    const init = { method: 'POST', duplex: 'half', ...request } as RequestInit
    const response = await fetch(`http://127.0.0.1:${port}/internal/jobs`, init)
    return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
  }

  it('lets a delivery in, parsed as always', async () => {
    const { status, text } = await send(delivery())
    expect([status, JSON.parse(text)]).toEqual([200, JSON.parse(BODY)])
  })

  it.each(STRANGE)('answers %s with 401 and the reason', async (_what, request, why) => {
    const { status, type, text } = await send(request())
    expect([status, type]).toEqual([401, expect.stringContaining('application/problem+json')])
    expect(JSON.parse(text)).toMatchObject({ code: `sdk.signature_${why}` })
  })

  it('reads no more of a body than is allowed, said beforehand or not', async () => {
    const body = JSON.stringify('x'.repeat(LIMIT))
    expect((await send(delivery({ body }))).status).toBe(413)
    const unsaid = { ...delivery({ body }), body: new Blob([body]).stream() }
    expect((await send(unsaid)).status).toBe(413)
  })
})

it('the middleware for express says so when the body was parsed before it', async () => {
  const app = express()
  app.use(express.json())
  app.use(verifyExpress(SECRET))
  app.use(
    ((error: Error, _request, response, _next) =>
      void response.status(500).send(error.message)) as express.ErrorRequestHandler,
  )
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', ...delivery() })
  expect(await response.text()).toContain('mount verifyExpress before express.json()')
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

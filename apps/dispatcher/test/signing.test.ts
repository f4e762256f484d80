import { createPublicKey, verify } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type IssuedSecret, type Problem, type SigningSecret, STORE_LIMITS } from '@millrace/contracts'
import { readLogRange, registryPartition } from '@millrace/streams'
import { eventually, type ReceivedRequest } from '@millrace/testkit'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../src/config.ts'
import { dispatcherOn, MASTER_KEY, pathOf, type Rig, startRig } from './fixture.ts'

const OTHER_KEY = '22'.repeat(32)

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const rotate = async (namespace: string, more: Record<string, unknown> = {}) => {
  const reply = await rig.client.call<IssuedSecret>('POST', `/services/${namespace}/secrets/rotate`, { body: more })
  expect(reply.status, JSON.stringify(reply.body)).toBe(201)
  return reply.body
}
const revoke = (namespace: string, id: string) =>
  rig.client.call('POST', `/services/${namespace}/secrets/${id}/revoke`, { body: {} })
const list = async (namespace: string) =>
  (await rig.client.call<{ secrets: SigningSecret[] }>('GET', `/services/${namespace}/secrets`)).body.secrets

const signaturesOf = ({ headers }: ReceivedRequest) => String(headers['webhook-signature']).split(' ')
/** As somebody checks it who knows Standard Webhooks and nothing of Millrace. */
const isSignedWith = (request: ReceivedRequest, { secret = '' }: IssuedSecret) => {
  try {
    new Webhook(secret).verify(request.body, request.headers as Record<string, string>)
    return true
  } catch {
    return false
  }
}
/** The next request to a queue of its own, once the dispatcher signs with so many secrets. */
async function deliver(namespace: string, signatures: number): Promise<ReceivedRequest> {
  const path = pathOf(namespace, 'mail')
  return eventually(
    async () => {
      const seen = rig.receiver.requests(path).length
      await rig.client.enqueue(namespace, 'mail', { data: { text: 'Grüße, 12345678901234567890' } })
      const request = (await rig.receiver.waitFor(path, seen + 1)).at(-1) as ReceivedRequest
      return signaturesOf(request).length === signatures && request
    },
    { timeoutMs: 10_000, what: `${signatures} signatures` },
  )
}

describe('a request to a service', () => {
  it('is signed before anybody has asked for a secret, with one that nobody knows', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    expect((await deliver(namespace, 1)).headers['webhook-signature']).toMatch(/^v1,[A-Za-z0-9+/]{43}=$/)
    expect(await list(namespace)).toEqual([])
  })

  it('is verified by the library standardwebhooks, each attempt by its own signature', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 1 }])
    const secret = await rotate(namespace)
    const path = pathOf(namespace, 'mail')
    await deliver(namespace, 1)
    const seen = rig.receiver.requests(path).length
    rig.receiver.script(path, { status: 500 }, {})
    await rig.client.enqueue(namespace, 'mail')
    const [first, second] = (await rig.receiver.waitFor(path, seen + 2)).slice(-2) as [ReceivedRequest, ReceivedRequest]
    expect(first.headers['webhook-id']).toBe(second.headers['webhook-id'])
    expect(first.headers['webhook-signature']).not.toBe(second.headers['webhook-signature'])
    for (const request of [first, second]) expect(isSignedWith(request, secret)).toBe(true)
    expect(isSignedWith({ ...first, body: second.body }, secret)).toBe(false)
  })

  it('with a batch of jobs is signed as a whole', async () => {
    const namespace = await rig.service([{ name: 'many', batch: { maxSize: 2, maxWaitMs: 5000 } }])
    const secret = await rotate(namespace)
    await eventually(async () => {
      const seen = rig.receiver.requests(pathOf(namespace, 'many')).length
      await rig.client.enqueue(namespace, 'many')
      await rig.client.enqueue(namespace, 'many')
      const requests = await rig.receiver.waitFor(pathOf(namespace, 'many'), seen + 1)
      return isSignedWith(requests.at(-1) as ReceivedRequest, secret)
    })
  })

  it('has a signature of Ed25519 as well once its namespace asks for it, and its key shows the public half alone', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const hmac = await rotate(namespace)
    const { secret, publicKey = '', id } = await rotate(namespace, { kind: 'ed25519' })
    expect([secret, publicKey]).toEqual([undefined, expect.stringMatching(/^whpk_/)])
    const request = await deliver(namespace, 2)
    const signature =
      signaturesOf(request)
        .find((each) => each.startsWith('v1a,'))
        ?.slice('v1a,'.length) ?? ''
    const x = Buffer.from(publicKey.slice('whpk_'.length), 'base64').toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    const { 'webhook-id': webhookId, 'webhook-timestamp': timestamp } = request.headers
    const content = Buffer.from(`${webhookId}.${timestamp}.${request.body}`)
    expect(verify(null, content, key, Buffer.from(signature, 'base64'))).toBe(true)
    expect(isSignedWith(request, hmac)).toBe(true)
    expect((await revoke(namespace, id)).status).toBe(200)
    expect((await deliver(namespace, 1)).headers['webhook-signature']).toMatch(/^v1,/)
  })
})

describe('a signing secret', () => {
  it('is followed by a new one, both sign for a while, and then the new one does', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const first = await rotate(namespace)
    const second = await rotate(namespace, { graceSeconds: 2 })
    const both = await deliver(namespace, 2)
    expect([first, second].map((secret) => isSignedWith(both, secret))).toEqual([true, true])
    const after = await deliver(namespace, 1)
    expect([first, second].map((secret) => isSignedWith(after, secret))).toEqual([false, true])
    expect(await list(namespace)).toMatchObject([{ id: second.id }])
  })

  it('is revoked at once, and the one that it was to replace goes on', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const [first, second] = [await rotate(namespace), await rotate(namespace)]
    const third = await rig.client.call('POST', `/services/${namespace}/secrets/rotate`, { body: {} })
    expect(third, 'two sign at a time').toMatchObject({ status: 409, body: { code: 'secret.rotating' } })
    await deliver(namespace, 2)
    expect((await revoke(namespace, second.id)).status).toBe(200)
    expect(isSignedWith(await deliver(namespace, 1), first)).toBe(true)
    const [left] = await list(namespace)
    expect(left).toEqual({ ...first, secret: undefined })
    expect(await revoke(namespace, first.id)).toMatchObject({ status: 409, body: { code: 'secret.last' } })
    expect(await revoke(namespace, second.id)).toMatchObject({ status: 404, body: { code: 'secret.unknown' } })
  })

  it('has one other of its kind beside it at most, whoever asks at once, so that their list needs no pages', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const path = `/services/${namespace}/secrets`
    const most = STORE_LIMITS.signingSecrets.value
    const kinds = ['hmac', 'ed25519']
    const asked = kinds.flatMap((kind) => Array.from({ length: most + 2 }, () => kind))
    const answers = await Promise.all(
      asked.map((kind) => rig.client.call<Problem>('POST', `${path}/rotate`, { body: { kind } })),
    )
    const taken = kinds.flatMap((kind) => Array.from({ length: most }, () => kind)).toSorted()
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(taken.length)
    const refused = answers.filter(({ status }) => status !== 201)
    expect(new Set(refused.map(({ body }) => body.code))).toEqual(new Set(['secret.rotating']))
    expect((await list(namespace)).map(({ kind }) => kind).toSorted()).toEqual(taken)
    for (const kind of kinds) await rotate(namespace, { kind, graceSeconds: 0 })
    for (const kind of kinds) await rotate(namespace, { kind })
    expect((await list(namespace)).map(({ kind }) => kind).toSorted()).toEqual(taken)
    const paged = await rig.client.call<Problem>('GET', `${path}?limit=1`)
    expect([paged.status, paged.body.code]).toEqual([422, 'request.invalid'])
  })

  it('is dropped at once where the new one is to have no other beside it', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const [first, second] = [await rotate(namespace), await rotate(namespace)]
    const third = await rotate(namespace, { graceSeconds: 0 })
    const isAlone = async () => {
      const request = await deliver(namespace, 1)
      return isSignedWith(request, third) && ![first, second].some((secret) => isSignedWith(request, secret))
    }
    await eventually(isAlone)
  })

  it('leaves facts of who changed it and why, and stands in Redis and in the log in no readable form', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const { id, secret = '' } = await rotate(namespace, { who: 'ada', why: 'a new service' })
    const redis = rig.redis.client()
    const facts = await readLogRange(registryPartition(redis), { count: 1000 })
    const fact = facts.find(({ entityId }) => entityId === `secret/${id}`)
    expect(fact).toMatchObject({ type: 'secret.created', namespace })
    expect(JSON.parse(fact?.data ?? '')).toEqual({ who: 'ada', why: 'a new service', kind: 'hmac' })
    const stored = JSON.stringify([await redis.hgetall('{reg}:secrets'), facts])
    expect(stored).toContain(id)
    for (const part of [secret.slice(6), Buffer.from(secret.slice(6), 'base64').toString('hex'), MASTER_KEY])
      expect(stored).not.toContain(part)
    expect(JSON.stringify(await list(namespace))).not.toMatch(/sealed|whsec/)
  })

  it.each([
    ['an unknown kind', { kind: 'rsa' }, '/kind'],
    ['a grace of a year', { graceSeconds: 31_536_000 }, '/graceSeconds'],
    ['a misspelt field', { grace: 1 }, '/grace'],
  ])('is not made with %s', async (_what, body, pointer) => {
    const reply = await rig.client.call('POST', '/services/shop/secrets/rotate', { body })
    expect(reply).toMatchObject({ status: 422, body: { errors: [{ pointer }] } })
  })
})

describe('without a master key', () => {
  const bare = { MILLRACE_MASTER_KEY: '' }

  it('a dispatcher of one machine makes one in its data folder, and opens with it what it sealed before', async () => {
    const home = mkdtempSync(join(tmpdir(), 'millrace-home-'))
    const namespace = await rig.service([{ name: 'mail' }])
    await rig.redis.client().del('{reg}:secrets')
    const first = await dispatcherOn(rig.redis.url, { env: { ...bare, MILLRACE_HOME: home } })
    const path = `/services/${namespace}/secrets/rotate`
    expect((await first.client.call('POST', path, { body: {} })).status).toBe(201)
    await first.dispatcher.stop()
    const second = await dispatcherOn(rig.redis.url, { env: { ...bare, MILLRACE_HOME: home } })
    await second.dispatcher.stop()
    await rig.redis.client().del('{reg}:secrets')
    rmSync(home, { recursive: true })
  })

  it('one that others can reach does not start, and says what to set', async () => {
    const env = { ...bare, MILLRACE_HOST: '0.0.0.0', MILLRACE_ADMIN_KEY: 'x'.repeat(32) }
    await expect(dispatcherOn(rig.redis.url, { env })).rejects.toThrow(/no MILLRACE_MASTER_KEY is set.*openssl/s)
  })

  it.each(['short', `${MASTER_KEY},short`])(
    'one with %s in its place does not start, and does not repeat it',
    (text) => {
      const config = () => readConfig({ MILLRACE_MASTER_KEY: text })
      expect(config).toThrow(/MILLRACE_MASTER_KEY: expected 32 bytes.*got \d+ characters/)
      expect(config).not.toThrow(text)
    },
  )
})

describe('the master key', () => {
  const deliverOnce = async (client: Rig['client'], namespace: string): Promise<ReceivedRequest> => {
    const path = pathOf(namespace, 'mail')
    const seen = rig.receiver.requests(path).length
    await client.enqueue(namespace, 'mail')
    return (await rig.receiver.waitFor(path, seen + 1)).at(-1) as ReceivedRequest
  }
  const readiness = async () => (await fetch(`${rig.client.url}/readyz`)).text()

  it('can be changed: the new one in front, the secrets sealed again, the old one gone', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const secret = await rotate(namespace)
    const both = await dispatcherOn(rig.redis.url, { env: { MILLRACE_MASTER_KEY: `${OTHER_KEY},${MASTER_KEY}` } })
    const reseal = async () =>
      (await both.client.call<{ resealed: number }>('POST', '/secrets/reseal', { body: {} })).body.resealed
    expect(await reseal()).toBeGreaterThan(0)
    expect(await reseal()).toBe(0)
    await both.dispatcher.stop()
    const alone = await dispatcherOn(rig.redis.url, { env: { MILLRACE_MASTER_KEY: OTHER_KEY } })
    expect(isSignedWith(await deliverOnce(alone.client, namespace), secret)).toBe(true)
    await alone.dispatcher.stop()
    await expect(dispatcherOn(rig.redis.url)).rejects.toThrow(/is sealed with the master key .*MILLRACE_MASTER_KEY/s)
  })

  it('that opens nothing makes a dispatcher hold its jobs back, say so, and burn no attempt', async () => {
    const other = await dispatcherOn(rig.redis.url, { env: { MILLRACE_MASTER_KEY: OTHER_KEY } })
    const namespace = await rig.service([{ name: 'mail' }])
    const before = await readiness()
    const { body } = await other.client.call<IssuedSecret>('POST', `/services/${namespace}/secrets/rotate`, {
      body: {},
    })
    await other.dispatcher.stop()
    await eventually(async () => (await readiness()) !== before)
    expect(await readiness()).toContain('is sealed with the master key')
    const id = await rig.client.enqueue(namespace, 'mail')
    const { body: explained } = await rig.client.call<{ reasons: object[] }>('GET', `/jobs/${id}/explain`)
    const detail = expect.stringMatching(/^The dispatcher that you ask cannot sign .* is sealed with the master key/)
    expect(explained.reasons).toEqual([{ code: 'unsigned', detail }])
    const able = await dispatcherOn(rig.redis.url, { env: { MILLRACE_MASTER_KEY: OTHER_KEY } })
    const [request] = (await rig.receiver.waitFor(pathOf(namespace, 'mail'), 1)) as [ReceivedRequest]
    expect(request.headers).toMatchObject({ 'webhook-id': id, 'x-attempt': '1', 'x-job-epoch': '1' })
    expect(isSignedWith(request, body)).toBe(true)
    await able.dispatcher.stop()
  })
})

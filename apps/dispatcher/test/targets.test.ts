import type { LookupAddress } from 'node:dns'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AttemptResult } from '@millrace/engine'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readConfig } from '../src/config.ts'
import { createSender } from '../src/delivery/sender.ts'
import { kindOf, parseAddress } from '../src/targets/address-kind.ts'
import { type OpenRanges, parseTargets } from '../src/targets/open-ranges.ts'
import { applyTo, dispatcherOn, manifestOf, metricOf, type Rig, startRig } from './fixture.ts'
import { CLOSED_ALWAYS, THIS_MACHINE } from './target-notations.ts'

/** Sees whoever comes as far as a connection, on every address of this machine. */
let canary: Server
let port = 0
let connections = 0
let rig: Rig
beforeAll(async () => {
  canary = createServer((_request, response) => response.end('{"from":"canary"}'))
  canary.on('connection', () => connections++)
  await new Promise<void>((resolve) => canary.listen(0, resolve))
  port = (canary.address() as AddressInfo).port
  // What is registered in these tests is at 127.0.0.1, and nothing else of this machine is open.
  rig = await startRig({ env: { MILLRACE_TARGETS: 'public,127.0.0.1,partner=127.0.0.2', MILLRACE_LEASE_MS: '600' } })
})
afterAll(async () => {
  await rig.stop()
  canary.closeAllConnections()
  await new Promise((resolve) => canary.close(resolve))
})
beforeEach(() => {
  connections = 0
})

const EVERYTHING = 'public,private,loopback,0.0.0.0/0,::/0'

/** One request, as a delivery is sent, to what a URL says. */
async function send(url: string, ranges: OpenRanges, answers: readonly LookupAddress[][] = []): Promise<AttemptResult> {
  let asked = 0
  const sender = createSender({
    ...(answers.length > 0 && { resolve: (_name, _options, answer) => answer(null, answers[asked++] as never) }),
  })
  const { origin } = new URL(url)
  const result = await new Promise<AttemptResult>((resolve) =>
    sender.send({ origin, ranges, path: '/', lines: '', body: '{"secret":1}', timeoutMs: 2000 }, resolve),
  )
  await sender.close()
  if (answers.length > 0) expect(asked, 'a name is resolved once for each connection').toBe(1)
  return result
}

const at = (...addresses: string[]): LookupAddress[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

describe('a delivery', () => {
  it('reaches the canary where it is open, so that it would be seen where it is not', async () => {
    expect(await send(`http://127.0.0.1:${port}`, parseTargets('loopback').of(''))).toMatchObject({ status: 200 })
    expect(await send(`http://LOCALHOST:${port}`, parseTargets('loopback').of(''))).toMatchObject({ status: 200 })
    expect(connections).toBe(2)
  })

  it.each(THIS_MACHINE)('sends nothing to http://%s where this machine is closed', async (host) => {
    const result = await send(`http://${host}:${port}`, parseTargets('public,private').of(''))
    expect(result).toMatchObject({ kind: 'failed', reason: 'target_refused' })
    expect(connections).toBe(0)
  })

  it.each(CLOSED_ALWAYS)('sends nothing to http://%s, whatever is open', async (host) => {
    const result = await send(`http://${host}:${port}`, parseTargets(EVERYTHING).of(''))
    expect(result).toMatchObject({ reason: 'target_refused', error: expect.stringContaining('closed always') })
    expect(connections).toBe(0)
  })

  it('over TLS is refused before a handshake', async () => {
    const ranges = parseTargets('public').of('')
    expect(await send(`https://127.0.0.1:${port}`, ranges)).toMatchObject({ reason: 'target_refused' })
    expect(await send(`https://name.test:${port}`, ranges, [at('127.0.0.1')])).toMatchObject({
      reason: 'target_refused',
    })
    expect(connections).toBe(0)
  })
})

describe('a name', () => {
  const ranges = parseTargets('127.0.0.1').of('')
  const url = () => `http://name.test:${port}`

  it('is checked by what it resolves to, in all notations that a resolver may answer with', async () => {
    // Whether `localhost.` resolves is up to the machine; if it does, this is what it means.
    const dotted = await send(`http://localhost.:${port}`, parseTargets('public').of(''), [at('127.0.0.1', '::1')])
    expect(dotted).toMatchObject({ reason: 'target_refused' })
    for (const address of ['127.0.0.2', '::1', '::ffff:127.0.0.2', '169.254.169.254', '10.0.0.1', 'fe80::1%lo'])
      expect(await send(url(), ranges, [at(address)]), address).toMatchObject({ reason: 'target_refused' })
    expect(connections).toBe(0)
  })

  it('that answers otherwise the next time gains nothing: what was checked is what is connected to', async () => {
    const turns = [at('127.0.0.1'), at('127.0.0.2')]
    expect(await send(url(), ranges, turns)).toMatchObject({ status: 200 })
    expect(await send(url(), ranges, turns.toReversed())).toMatchObject({ reason: 'target_refused' })
    expect(connections).toBe(1)
  })

  it('with open and closed addresses is reached at the open ones alone', async () => {
    const seen: (string | undefined)[] = []
    canary.on('connection', (socket) => seen.push(socket.localAddress))
    expect(await send(url(), ranges, [at('127.0.0.2', '::1', '127.0.0.1')])).toMatchObject({ status: 200 })
    expect(seen.map((address) => address?.replace('::ffff:', ''))).toEqual(['127.0.0.1'])
  })

  it('is refused without saying which inner address it has', async () => {
    expect(await send(url(), ranges, [at('10.11.12.13')])).toMatchObject({
      error: 'name.test leads to a private address, and MILLRACE_TARGETS opens 127.0.0.1 (ERR_TARGET_REFUSED)',
    })
  })
})

it('a connection that one namespace may open is none for another', async () => {
  const policy = parseTargets('public,shop=127.0.0.1')
  const sender = createSender()
  const sendAs = (namespace: string) =>
    new Promise<AttemptResult>((resolve) => {
      const place = { origin: `http://127.0.0.1:${port}`, ranges: policy.of(namespace), path: '/' }
      sender.send({ ...place, lines: '', body: '{}', timeoutMs: 2000 }, resolve)
    })
  expect(await sendAs('shop')).toMatchObject({ status: 200 })
  expect(await sendAs('other')).toMatchObject({ reason: 'target_refused' })
  expect(connections).toBe(1)
  await sender.close()
})

describe('the ranges', () => {
  it.each([
    ['8.8.8.8', 'public'],
    ['2606:4700::1111', 'public'],
    ['64:ff9b::808:808', 'public'],
    ['172.32.0.1', 'public'],
    ['172.31.255.255', 'private'],
    ['100.64.0.1', 'private'],
    ['::ffff:192.168.1.1', 'private'],
    ['fd12:3456::1', 'private'],
    ['127.255.255.255', 'loopback'],
    ['::1', 'loopback'],
    ['4000::1', 'closed'],
    ['100::1', 'closed'],
    ['2001:db8::1', 'closed'],
    ['64:ff9b:1::808:808', 'closed'],
  ])('%s is %s', (address, kind) => {
    expect(kindOf(parseAddress(address) as never)).toBe(kind)
  })

  it('that the documentation has are read', () => {
    const page = readFileSync(new URL('../../../docs/targets.md', import.meta.url), 'utf8')
    const [, example = ''] = /^MILLRACE_TARGETS=(.+)$/m.exec(page) ?? []
    expect(example).not.toBe('')
    expect(parseTargets(example).of('shop').refusal('10.20.1.2')).toBeUndefined()
    expect(parseTargets(example).of('mail').refusal('10.20.1.2')).toBe('private')
  })

  it.each([
    [{}, 'public,private,loopback'],
    [{ MILLRACE_ADMIN_KEY: 'k'.repeat(32) }, 'public'],
    [{ MILLRACE_JWKS_URL: 'http://127.0.0.1:1' }, 'public'],
    [{ MILLRACE_ADMIN_KEY: 'k'.repeat(32), MILLRACE_TARGETS: 'private' }, 'private'],
  ])('of %j are %s', (env, open) => {
    expect(readConfig(env).MILLRACE_TARGETS).toBe(open)
  })

  it.each([
    ['publik', 'expected public, private, loopback, an address or a range'],
    ['10.0.0.0/33', 'expected public'],
    ['10.0.0.0/8/8', 'expected public'],
    ['010.0.0.1', 'expected public'],
    ['shop=', 'expected public'],
    ['Shop=private', 'expected public'],
    ['169.254.169.254', 'which is closed always'],
    ['public,shop=fe80::/10', 'which is closed always'],
  ])('MILLRACE_TARGETS=%s is refused at boot', (text, why) => {
    expect(() => parseTargets(text)).toThrow(why)
  })
})

describe('at registration', () => {
  const asked = async (url: string, namespace = 'bad') => {
    const body = { manifest: manifestOf(namespace, [{ name: 'mail' }]), url }
    return rig.client.call('PUT', `/services/${namespace}`, { body })
  }

  it.each([...THIS_MACHINE.filter((host) => !leadsToOpen(host)), ...CLOSED_ALWAYS])(
    'http://%s is refused with a problem that names the field',
    async (host) => {
      const { status, body } = await asked(`http://${host}:${port}`)
      expect([status, body.code]).toEqual([422, 'target.refused'])
      expect(body.errors).toEqual([{ pointer: '/url', detail: expect.stringContaining('leads to a') }])
      expect(connections).toBe(0)
    },
  )

  it.each([
    ['http://evil.example@127.0.0.1:1', 'must not hold a user name or password'],
    ['http://:secret@127.0.0.1:1', 'must not hold a user name or password'],
    ['http://127.0.0.1\\@evil.example', 'must not hold spaces, line breaks, control characters or backslashes'],
    ['http://127.0.0.1:1/\r\nHost: evil', 'must not hold spaces'],
    ['http://127.0.0.1\t:1', 'must not hold spaces'],
    ['http://127.0.0.1:1/#@evil.example', 'must not hold a fragment'],
    ['http://127.0.0.1:1/?a=b', 'must not hold a query'],
    ['file:///etc/passwd', 'has the scheme file:'],
    ['gopher://127.0.0.1:70', 'has the scheme gopher:'],
    ['http://127.0.0.1.256', 'is not a URL'],
    ['http://[::1', 'is not a URL'],
    ['http://127.0.0.1:99999', 'is not a URL'],
    ['//127.0.0.1', 'is not a URL'],
  ])('%j is refused: %s', async (url, detail) => {
    const { status, body } = await asked(url)
    expect([status, body.code]).toEqual([422, 'request.invalid'])
    expect(body.errors?.[0]).toMatchObject({ pointer: '/url', detail: expect.stringContaining(detail) })
  })

  it('the sink of a subscription is held to the same', async () => {
    await applyTo(rig.client, 'sinks', [{ name: 'mail' }], rig.receiver.url)
    const body = { config: { namespace: 'sinks', name: 'mine' }, types: ['a.*'], sink: `http://[::1]:${port}/hook` }
    const { status, body: problem } = await rig.client.call('POST', '/subscriptions', { body })
    expect([status, problem.code, problem.errors?.[0]?.pointer]).toEqual([422, 'target.refused', '/sink'])
  })

  it('another notation of an open address is taken for what it is', async () => {
    const { status, body } = await asked('http://0x7f.1:8080/base/', 'notation')
    expect([status, body]).toMatchObject([200, { url: 'http://127.0.0.1:8080/base' }])
  })

  it('a range that is open to one namespace is refused to another', async () => {
    expect((await asked('http://127.0.0.2:1', 'partner')).status).toBe(200)
    expect((await asked('http://127.0.0.2:1', 'other')).status).toBe(422)
  })

  it.each(['/internal/%2e%2e/admin', '/internal/.%2E/admin', '/internal/..%2fadmin', '/internal/%2e%2e%5cadmin'])(
    'the endpoint %s is refused, which leads out of /internal/',
    async (endpoint) => {
      const body = { manifest: manifestOf('bad', [{ name: 'mail', endpoint }]), url: rig.receiver.url }
      expect((await rig.client.call('PUT', '/services/bad', { body })).body.code).toBe('manifest.invalid')
    },
  )
})

/** What 127.0.0.1 alone being open lets through, by its meaning. */
function leadsToOpen(host: string): boolean {
  const { hostname } = new URL(`http://${host}`)
  return ['127.0.0.1', '[::ffff:7f00:1]', '[64:ff9b::7f00:1]', 'localhost', 'localhost.'].includes(hostname)
}

describe('a service that was registered while its address was open', () => {
  it('gets nothing once it is closed, its jobs wait, and all of them arrive when it is open again', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 50 }], `http://127.0.0.1:${port}`)
    await rig.dispatcher.stop()
    const env = { MILLRACE_TARGETS: 'public', MILLRACE_LEASE_MS: '600' }
    const closed = await dispatcherOn(rig.redis.url, { env })
    for (let n = 0; n < 20; n++) await closed.client.enqueue(namespace, 'mail', { data: n })
    await expect
      .poll(() => metricOf(closed.client, 'millrace_circuit_open', { namespace, scope: 'origin' }), { timeout: 60_000 })
      .toBe(1)
    const refused = { namespace, outcome: 'retry', reason: 'target_refused' }
    const attempts = await metricOf(closed.client, 'millrace_delivery_attempts_total', refused)
    expect(attempts, 'the circuit opens, so that most jobs burn no attempt').toBeLessThan(20)
    expect(attempts).toBeGreaterThan(0)
    expect(connections).toBe(0)
    await closed.dispatcher.stop()
    const { dispatcher, client } = await dispatcherOn(rig.redis.url, { env: { MILLRACE_TARGETS: '127.0.0.1' } })
    await client.until(namespace, 'mail', { succeeded: 20, dead: 0, waiting: 0, scheduled: 0, running: 0 })
    expect(connections).toBeGreaterThan(0)
    await dispatcher.stop()
  })
})

it.each([301, 302, 303, 307, 308])('a redirect (%i) to a closed address is not followed', async (status) => {
  const service = createServer((_request, response) => {
    response.writeHead(status, { location: `http://127.0.0.2:${port}/`, refresh: `0;url=http://127.0.0.2:${port}/` })
    response.end()
  })
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`
  expect(await send(url, parseTargets('loopback').of(''))).toMatchObject({ kind: 'response', status })
  expect(connections).toBe(0)
  await new Promise((resolve) => service.close(resolve))
})

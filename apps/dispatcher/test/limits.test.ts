import { createServer, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Service, STORE_LIMITS } from '@millrace/contracts'
import { type AttemptResult, parseManifest } from '@millrace/engine'
import { freePort } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSender } from '../src/delivery/sender.ts'
import { refuseTooMany } from '../src/events/subscription-store.ts'
import { dispatcherOn, manifestOf, OPEN_TARGETS, type Rig, startRig } from './fixture.ts'

// A test that measures what is held needs the collector at hand.
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const ADMIN_KEY = 'the-key-of-whoever-sets-this-up-0001'
const RATE = 25
const admin = { authorization: `Bearer ${ADMIN_KEY}` }

let rig: Rig
let guarded: Awaited<ReturnType<typeof dispatcherOn>>
beforeAll(async () => {
  rig = await startRig()
  const env = { MILLRACE_ADMIN_KEY: ADMIN_KEY, MILLRACE_RATE_LIMIT: String(RATE), MILLRACE_TARGETS: 'loopback' }
  guarded = await dispatcherOn(rig.redis.url, { env })
})
afterAll(async () => {
  await guarded.dispatcher.stop()
  await rig.stop()
})

async function makeKey(name: string): Promise<Record<string, string>> {
  const body = { name, grants: ['operator:*'], who: 'test' }
  const made = await guarded.client.call<{ key: string }>('POST', '/keys', { body, headers: admin })
  expect(made.status).toBe(201)
  return { authorization: `Bearer ${made.body.key}` }
}

describe('a key', () => {
  it('has its requests a minute, is told what is left, and then to wait; others go on', async () => {
    const [busy, calm] = [await makeKey('same name'), await makeKey('same name')]
    const ask = (headers: Record<string, string>) => guarded.client.call('GET', '/queues', { headers })
    const first = await ask(busy)
    expect(first.headers.get('ratelimit-policy')).toBe(`"key";q=${RATE};w=60`)
    expect(first.headers.get('ratelimit')).toBe(`"key";r=${RATE - 1};t=60`)
    const rest = await Promise.all(
      Array.from({ length: RATE + 5 }, (_, n) => ask({ ...busy, 'x-forwarded-for': `198.51.100.${n}` })),
    )
    const refused = rest.filter(({ status }) => status === 429)
    expect(refused, 'a forged address is no new quota').toHaveLength(6)
    expect(refused[0]?.body).toMatchObject({ code: 'request.rate_limited', status: 429 })
    const waitSeconds = Number(refused[0]?.headers.get('retry-after'))
    expect(waitSeconds).toBeGreaterThan(0)
    expect(waitSeconds).toBeLessThanOrEqual(60)
    expect(refused[0]?.headers.get('ratelimit')).toBe(`"key";r=0;t=${waitSeconds}`)
    expect((await ask(calm)).status, 'another key of the same name').toBe(200)
  })

  it('that is refused counts for the address it comes from, whatever else that claims to be', async () => {
    const wrong = await guarded.client.call('GET', '/queues', {
      headers: { authorization: 'Bearer mk_none_none', 'x-forwarded-for': '198.51.100.7' },
    })
    expect(wrong.status).toBe(401)
    const left = (headers: Headers) => Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1])
    const health = await fetch(`${guarded.client.url}/livez`, { headers: { 'x-forwarded-for': '198.51.100.8' } })
    expect(health.headers.get('ratelimit-policy')).toBe('"address";q=6000;w=60')
    expect(left(health.headers)).toBe(left(wrong.headers) - 1)
    const nowhere = await fetch(`${guarded.client.url}/nowhere`)
    expect(left(nowhere.headers)).toBe(left(health.headers) - 1)
  })

  it('where none is needed, nobody is counted', async () => {
    const { headers } = await rig.client.call('GET', '/queues')
    expect([headers.get('ratelimit'), headers.get('ratelimit-policy')]).toEqual([null, null])
  })
})

describe('a namespace', () => {
  const many = <Item>(count: number, item: (n: number) => Item) => Array.from({ length: count }, (_, n) => item(n))
  const apply = (namespace: string, spec: Record<string, unknown>) =>
    rig.client.call('PUT', `/services/${namespace}`, {
      body: { manifest: manifestOf(namespace, [], spec), url: rig.receiver.url },
    })
  const endpoint = '/internal/x'
  const limit = STORE_LIMITS.queues.value

  it.each([
    ['queues', (n: number) => ({ name: `q${n}`, endpoint })],
    ['schedules', (n: number) => ({ name: `s${n}`, cron: '0 2 * * *', endpoint })],
    ['subscriptions', (n: number) => ({ name: `s${n}`, types: ['a.*'], endpoint })],
    ['events', (n: number) => ({ type: `a.t${n}`, schema: {} })],
  ])('has a bounded number of %s', async (list, item) => {
    const { status, body } = await apply('crowded', { [list]: many<unknown>(limit + 1, item) })
    expect([status, body.code]).toEqual([422, 'manifest.invalid'])
    expect(body.errors).toEqual([
      expect.objectContaining({
        pointer: `/spec/${list}`,
        detail: `has ${limit + 1} items, the limit is ${limit}: split the service`,
      }),
    ])
  })

  it('has no more subscriptions by way of the API either', () => {
    const subscriptions = many(limit, (n) => ({ name: `s${n}`, types: ['a.*'], delivery: 'pull' }))
    const parsed = parseManifest(manifestOf('listening', [], { subscriptions }))
    if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.mistakes[0]))
    const { namespace, queues } = parsed.declaration
    const serviceOf = (queues: unknown) => ({ namespace, queues, closing: [] }) as unknown as Service
    expect(() => refuseTooMany(serviceOf(queues.slice(1)))).not.toThrow()
    expect(() => refuseTooMany(serviceOf(queues))).toThrow('"listening" has 1000 subscriptions, which is the limit')
  })
})

describe('a worker', () => {
  const sockets = new Set<Socket>()
  afterAll(() => {
    for (const socket of sockets) socket.destroy()
  })

  /** Answers each request by hand. */
  async function worker(answer: (socket: Socket) => void): Promise<string> {
    const port = await freePort()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('data', () => answer(socket))
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    server.unref()
    return `http://127.0.0.1:${port}`
  }

  it('that drips its answer ends with its timeout, and costs no more memory than a quick one', async () => {
    const chunks = 60_000
    // One piece of memory for all that is sent, so that what is held is what the sender holds.
    const thousand = Buffer.from('1\r\nx\r\n'.repeat(1000))
    const url = await worker((socket) => {
      socket.setNoDelay(true)
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n')
      // One byte each, and never an end.
      for (let sent = 0; sent < chunks; sent += 1000) socket.write(thousand)
    })
    const sender = createSender()
    const request = { origin: url, ranges: OPEN_TARGETS.of(''), path: '/', lines: '', body: '{}' }
    const heldBytes = () => {
      collectGarbage()
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    const before = heldBytes()
    // The last look counts: by then all has come, and what was only passing through is gone.
    let last = 0
    const looking = setInterval(() => {
      last = heldBytes()
    }, 200)
    const results = await Promise.all(
      Array.from(
        { length: 10 },
        () => new Promise<AttemptResult>((resolve) => sender.send({ ...request, timeoutMs: 5000 }, resolve)),
      ),
    )
    clearInterval(looking)
    expect(results).toEqual(results.map(() => expect.objectContaining({ kind: 'failed', reason: 'timeout' })))
    // Kept as they came, 60,000 chunks of each of ten answers hold 44 to 73 MB; put together, 3 to 17 of what is on its way.
    expect(last - before).toBeLessThan(30_000_000)
    expect(last).toBeGreaterThan(0)
    await sender.close()
  })

  it('that says headers without end, one after the other, is a bad answer', async () => {
    const url = await worker((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(5000)}\r\n`)
    })
    const namespace = await rig.service([{ name: 'mail', retries: 0 }], url)
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { dead: 1 })
    expect((await rig.client.deadLetters(namespace))[0]).toMatchObject({ reason: 'bad_response' })
  })

  it('that announces an answer again and again and never gives one ends with its timeout', async () => {
    const url = await worker((socket) => {
      const more = setInterval(() => socket.writable && socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 10)
      socket.once('close', () => clearInterval(more))
    })
    const namespace = await rig.service([{ name: 'mail', retries: 0, timeoutMs: 300 }], url)
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { dead: 1 })
    expect((await rig.client.deadLetters(namespace))[0]).toMatchObject({ reason: 'timeout' })
  })
})

import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  type AppServer,
  ConfigError,
  commonConfig,
  createHttpServer,
  createLogger,
  createMetrics,
  parseConfig,
} from '../src/index.ts'

// Long for a request that comes at once, on a busy machine as well.
const HEADERS_MS = 1000
const REQUEST_MS = 2000
// Long for a timer that is late, on a busy machine as well.
const IDLE_MS = 1000
/** More characters than the buffers of a connection hold. */
const MUCH = 32 * 1024 * 1024

let server: AppServer
let port = 0
beforeAll(async () => {
  ;({ server, port } = await serve({ proxies: '' }))
})
afterAll(() => server.close())

async function serve({ proxies, idleMs = 20_000 }: { proxies: string; idleMs?: number }) {
  const config = parseConfig(z.object(commonConfig), { MILLRACE_TRUSTED_PROXIES: proxies })
  const server = await createHttpServer({
    ...{ title: 'Test', version: '1', logger: createLogger({ app: 'test', level: 'silent' }) },
    metrics: createMetrics({ app: 'test', version: '1', maxNames: 10 }),
    bodyLimitBytes: 65_536,
    clients: { ...config, MILLRACE_MAX_CONNECTIONS: 40 },
    limits: { headersMs: HEADERS_MS, requestMs: REQUEST_MS, idleMs, lookMs: 50, heldBodyBytes: 150_000 },
    ready: { process: async () => ({}) },
  })
  server.post('/echo', { schema: { body: z.unknown() } }, async ({ rawBody, ip }) => ({ ip, length: rawBody.length }))
  server.get('/names/:name', { schema: { params: z.object({ name: z.string() }) } }, async ({ params }) => params)
  server.get('/much', async () => 'x'.repeat(MUCH))
  server.get('/drops', async (_request, reply) => reply.type('text/plain').send(drops()))
  await server.listen({ port: 0, host: '127.0.0.1' })
  return { server, port: (server.server.address() as { port: number }).port }
}

/** An answer that takes three times as long as a connection may be idle, and never is. */
function drops(): PassThrough {
  const answer = new PassThrough()
  let left = 30
  const dripping = setInterval(() => {
    answer.write('x')
    if (--left > 0) return
    clearInterval(dripping)
    answer.end()
  }, IDLE_MS / 10)
  return answer
}

/** A client that says what it likes, as slowly as it likes. */
function open(text: string, to = port) {
  const socket: Socket = connect(to, '127.0.0.1')
  let answer = ''
  let isOver = false
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1')
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    isOver = true
  })
  socket.write(text, 'latin1')
  return { socket, answer: () => answer, isOver: () => isOver }
}

const over = (client: ReturnType<typeof open>) =>
  eventually(() => client.isOver(), { timeoutMs: 10_000, what: 'the connection to end' })

const post = (body: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${port}/echo`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })

describe('a client that', () => {
  it('sends headers without end is told 408 and let go, and holds nobody else up', async () => {
    const slow = Array.from({ length: 20 }, () => open('GET /livez HTTP/1.1\r\nhost: x\r\n'))
    const dripping = setInterval(() => slow.map(({ socket }) => socket.writable && socket.write('x-a: b\r\n')), 50)
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200)
    await Promise.all(slow.map(over))
    clearInterval(dripping)
    for (const { answer } of slow) expect(answer()).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request\.timeout"/)
  })

  it.each([
    ['whose length it told', 'content-length: 60000\r\n\r\n', '"xxxx'],
    ['without telling a length', 'transfer-encoding: chunked\r\n\r\n', '4\r\nxxxx\r\n'],
  ])('sends a body drop by drop, %s, is let go', async (_what, head, drop) => {
    const client = open(`POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${head}`)
    const dripping = setInterval(() => client.socket.writable && client.socket.write(drop), 50)
    await over(client)
    clearInterval(dripping)
    expect(client.answer()).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('sends a body without end is cut off at the limit', async () => {
    const client = open(
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
    )
    let sent = 0
    const more = () => {
      if (!client.socket.writable) return
      sent += 16_384
      client.socket.write(`4000\r\n${'x'.repeat(16_384)}\r\n`, () => setImmediate(more))
    }
    more()
    await over(client)
    expect(client.answer()).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"request\.too_large"/)
    expect(sent).toBeLessThan(10_000_000)
  })

  it('sends a body that is too long is told so while it sends, and the connection goes on behind it', async () => {
    const length = 400_000
    const head = `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
    const client = open(head)
    await eventually(() => /^HTTP\/1\.1 413 [\s\S]*"code":"request\.too_large"/.test(client.answer()))
    client.socket.write('x'.repeat(length))
    client.socket.write('GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    await over(client)
    expect(client.answer()).toMatch(/\}HTTP\/1\.1 200 /)
  })

  it('says that its body has gigabytes is told 413 and let go', async () => {
    const client = open(
      `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${4e9}\r\n\r\n`,
    )
    await over(client)
    expect(client.answer()).toMatch(/^HTTP\/1\.1 413 /)
  })

  it('sends headers beyond the limit is told 431', async () => {
    const client = open(`GET /livez HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`)
    await over(client)
    expect(client.answer()).toMatch(/^HTTP\/1\.1 431 [\s\S]*"code":"request\.headers_too_large"/)
  })

  it.each([
    ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'],
    ['two lengths', 'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    [
      'a length and chunks',
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a line break in a header', 'GET /livez HTTP/1.1\r\nhost: x\r\nx-a: b\nx\r\n\r\n'],
    ['no method that there is', 'GRAB /livez HTTP/1.1\r\nhost: x\r\n\r\n'],
  ])('sends %s is told 400 with a problem', async (_what, text) => {
    const client = open(text)
    await over(client)
    expect(client.answer()).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"request\.malformed"/)
  })

  it('opens more connections than there may be is turned away', async () => {
    const clients = Array.from({ length: 60 }, () => open(''))
    await eventually(() => clients.filter(({ isOver }) => isOver()).length >= 20, { what: 'twenty to be closed' })
    for (const { socket } of clients) socket.destroy()
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/livez`).catch(() => undefined))?.ok)
  })

  it('nests without end is told so, in whatever field it is', async () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
    expect((await post(nested(512))).status).toBe(200)
    for (const body of [nested(513), nested(30_000), `{"a":${'{"b":'.repeat(600)}1${'}'.repeat(600)}}`]) {
      const response = await post(body)
      expect(response.status).toBe(422)
      expect(await response.json()).toMatchObject({ errors: [{ detail: 'must not nest deeper than 512 levels' }] })
    }
    expect((await post(`"${'['.repeat(30_000)}`)).status, 'no JSON at all').toBe(400)
  })

  it('asks for what no address can be is told so', async () => {
    for (const path of ['/names/%zz', '/names/%c3%28', `/names/${'x'.repeat(200)}`, '/%', '//', '/names/a%00b']) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      expect([200, 404, 422], path).toContain(response.status)
      if (response.status !== 200)
        expect(response.headers.get('content-type'), path).toContain('application/problem+json')
    }
  })
})

describe('a connection on which nothing moves', () => {
  let idle: Awaited<ReturnType<typeof serve>>
  beforeAll(async () => {
    idle = await serve({ proxies: '', idleMs: IDLE_MS })
  })
  afterAll(() => idle.server.close())
  const connections = () =>
    new Promise<number>((resolve, reject) =>
      idle.server.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    )

  it('ends, where a client does not read its answer', async () => {
    const client = open('GET /much HTTP/1.1\r\nhost: x\r\n\r\n', idle.port)
    client.socket.pause()
    await eventually(async () => (await connections()) === 1, { what: 'the connection' })
    await eventually(async () => (await connections()) === 0, { timeoutMs: 10_000, what: 'the connection to end' })
    client.socket.destroy()
  })

  it('is none whose answer comes drop by drop, nor one that is kept open for the next request', async () => {
    const client = open('', idle.port)
    for (const answers of [1, 2]) {
      client.socket.write('GET /drops HTTP/1.1\r\nhost: x\r\n\r\n')
      const all = () => client.answer().split('\r\n0\r\n').length - 1 === answers
      await eventually(all, { timeoutMs: 10_000, what: `answer ${answers}` })
      expect(client.isOver()).toBe(false)
    }
    client.socket.destroy()
  })
})

it('bodies that are held together have a bound, and give their room back', async () => {
  const half = (length: number) =>
    open(`POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n"`)
  const held = [half(60_000), half(60_000)]
  await eventually(async () => (await post(JSON.stringify('x'.repeat(50_000)))).status === 503)
  const refused = await post(JSON.stringify('x'.repeat(50_000)))
  expect(refused.headers.get('retry-after')).toBe('1')
  expect(await refused.json()).toMatchObject({ code: 'request.busy' })
  expect((await post('"small"')).status, 'what is small still fits').toBe(200)
  held[0]?.socket.destroy()
  await eventually(async () => (await post(JSON.stringify('x'.repeat(50_000)))).status === 200)
  held[1]?.socket.destroy()
})

describe('the address of a client', () => {
  const forged = {
    'x-forwarded-for': '203.0.113.9, 10.0.0.1',
    forwarded: 'for=203.0.113.9',
    'x-real-ip': '203.0.113.9',
  }

  it('is that of the connection, whatever its headers say', async () => {
    expect(await (await post('1', forged)).json()).toMatchObject({ ip: '127.0.0.1' })
  })

  it('is what a trusted proxy says, and not what was said to the proxy', async () => {
    const behind = await serve({ proxies: '127.0.0.0/8' })
    const response = await fetch(`http://127.0.0.1:${behind.port}/echo`, {
      ...{ method: 'POST', body: '1' },
      headers: { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.9, 198.51.100.7' },
    })
    expect(await response.json()).toMatchObject({ ip: '198.51.100.7' })
    await behind.server.close()
  })

  it.each(['true', 'loopback', '10.0.0.0/33', '10.0.0', '*', '10.0.0.1 10.0.0.2'])(
    'with the proxies %j is refused at boot',
    (text) => {
      expect(() => parseConfig(z.object(commonConfig), { MILLRACE_TRUSTED_PROXIES: text })).toThrow(ConfigError)
    },
  )
})

describe('metrics', () => {
  it('have no label that a client wrote', async () => {
    const evil = encodeURIComponent('a"} 1\nmillrace_forged{x="y"} 1\n# HELP \\')
    for (const path of [`/names/${evil}`, `/${evil}`, `/livez?${evil}`])
      await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'user-agent': 'a"} 1' } })
    const text = await eventually(async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      for (const route of ['/names/:name', '_other', '/livez']) expect(text).toContain(`http_route="${route}"`)
      return text
    })
    expect(text).not.toContain('forged')
    for (const line of text.split('\n').filter((line) => line !== '' && !line.startsWith('#')))
      expect(line).toMatch(/^[a-z0-9_:]+(\{([a-z0-9_]+="[^"\\\n]*",?)*\})? \S+$/)
  })
})

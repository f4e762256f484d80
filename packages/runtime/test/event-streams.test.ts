import { connect } from 'node:net'
import { eventually } from '@millrace/testkit'
import type { FastifyReply } from 'fastify'
import { afterEach, expect, it } from 'vitest'
import {
  type AppServer,
  createHttpServer,
  createLogger,
  createMetrics,
  type EventStream,
  endAnswer,
  limitOpen,
  openEventStreams,
  SSE_ROUTE,
  shareLooks,
} from '../src/index.ts'

let server: AppServer
/** Of the newest request. */
let reply: FastifyReply
const stopping = new AbortController()
afterEach(() => server.close())

/** A server with one stream, that does what the test says. */
async function serve(work: (stream: EventStream) => Promise<void>, slowAfterMs: number) {
  let open = 0
  server = await createHttpServer({
    ...{ title: 'Test', version: '1', logger: createLogger({ app: 'test', level: 'silent' }), bodyLimitBytes: 1000 },
    metrics: createMetrics({ app: 'test', version: '1', maxNames: 10 }),
    ready: { process: async () => ({}) },
  })
  const onCount = (count: number) => {
    open = count
  }
  const streams = await openEventStreams(server, {
    ...{ enter: limitOpen({ max: 1, onCount }), stopping: stopping.signal, heartbeatMs: 20, slowAfterMs },
  })
  server.route({
    method: 'GET',
    url: '/stream',
    sse: SSE_ROUTE,
    handler: (_request, streamed) => {
      reply = streamed
      return streams.run(streamed, async (stream) => {
        stream.begin()
        await work(stream)
      })
    },
  })
  server.get('/page', (_request, waiting) => {
    reply = waiting
  })
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.server.address() as { port: number }
  return { port, url: `http://127.0.0.1:${port}/stream`, open: () => open }
}

it('cuts off who does not read, keeps no more for it than one message, and says so last', async () => {
  let sent = 0
  const data = JSON.stringify('x'.repeat(1_000_000))
  const { port, open } = await serve(async (stream) => {
    while (!stream.over.aborted) {
      await stream.send({ kind: 'big', id: String(sent), data })
      sent++
    }
  }, 300)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('GET /stream HTTP/1.1\r\nhost: x\r\n\r\n')
  await eventually(() => open() === 1)
  await eventually(() => open() === 0, { what: 'the stream to be cut off' })
  // A client that wakes up in time reads what was sent, and then why there is no more.
  let tail = ''
  socket.on('data', (chunk) => {
    tail = (tail + chunk.toString('latin1')).slice(-2000)
  })
  await eventually(() => socket.destroyed || tail.includes('event: cut'), { what: 'the end of the stream' })
  expect(tail).toMatch(/event: cut\ndata: \{"reason":"slow","detail":"Nothing was read for 0.3 s; /)
  socket.destroy()
})

it('is let in again when there is room, sends heartbeats, and keeps a line of JSON a line', async () => {
  const { url, open } = await serve(async (stream) => {
    await stream.send({ kind: 'odd', data: '{"a":1,\r\n"b":2}' })
    await new Promise((resolve) => stream.over.addEventListener('abort', resolve, { once: true }))
  }, 5000)
  const leaving = new AbortController()
  const response = await fetch(url, { signal: leaving.signal })
  let text = ''
  const reading = (async () => {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk
  })().catch(() => undefined)
  await eventually(() => text.includes(': heartbeat'))
  expect(text).toContain('event: odd\ndata: {"a":1,\ndata: \ndata: "b":2}\n\n')
  const refused = await fetch(url)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
  leaving.abort()
  await reading
  await eventually(() => open() === 0)
  const again = await fetch(url)
  expect(again.status).toBe(200)
  await again.body?.cancel()
})

it('is told why it ends before its time, if it is a stream; another answer breaks off', async () => {
  const { url, open } = await serve(async ({ over }) => {
    await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }))
  }, 5000)
  const response = await fetch(url)
  endAnswer(reply, 'refused', 'The key was revoked.')
  expect(await response.text()).toContain('event: cut\ndata: {"reason":"refused","detail":"The key was revoked."}\n\n')
  await eventually(() => open() === 0)

  const waiting = fetch(url.replace('stream', 'page'))
  const unanswered = expect(waiting).rejects.toThrow('fetch failed')
  await eventually(() => reply.request.url === '/page')
  endAnswer(reply, 'refused', 'The key was revoked.')
  await unanswered
})

it('looks once for all who wait at the same time', async () => {
  server = { close: async () => undefined } as unknown as AppServer
  let looks = 0
  const look = shareLooks(async () => ++looks, 5)
  expect(await Promise.all([look(), look(), look()])).toEqual([1, 1, 1])
  expect(await look()).toBe(2)
})

import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import type { AttemptResult } from '@millrace/engine'
import { eventually } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSender, type Sender, type SendRequest } from '../src/delivery/sender.ts'
import { OPEN_TARGETS } from './fixture.ts'

let sender: Sender
let servers: (Server | HttpServer)[]
let sockets: Socket[]
beforeEach(() => {
  sender = createSender()
  servers = []
  sockets = []
})
afterEach(async () => {
  await sender.close()
  for (const socket of sockets) socket.destroy()
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
})

const ranges = OPEN_TARGETS.of('shop')

async function listen(server: Server | HttpServer): Promise<string> {
  servers.push(server)
  server.on('connection', (socket: Socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A server that answers by hand whenever a whole request with a body of digits has come. */
const byHand = (answer: (socket: Socket, request: string) => void) =>
  listen(
    createServer((socket) => {
      let came = ''
      socket.on('data', (chunk) => {
        came += chunk.toString('latin1')
        const [head, body] = came.split('\r\n\r\n')
        const length = Number(/content-length: (\d+)/.exec(head ?? '')?.[1])
        if (body === undefined || body.length < length) return
        const request = came
        came = ''
        answer(socket, request)
      })
    }),
  )

const send = (origin: string, request: Partial<SendRequest> = {}) =>
  new Promise<AttemptResult>((resolve) =>
    sender.send({ origin, ranges, path: '/', lines: '', body: '1', timeoutMs: 5000, ...request }, resolve),
  )

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const fine = { kind: 'response', status: 200, body: 'ok' }

describe('a connection', () => {
  it('carries one request after the other', async () => {
    const url = await byHand((socket) => socket.write(OK))
    for (let n = 0; n < 20; n++) expect(await send(url)).toMatchObject(fine)
    expect(sockets.length).toBeLessThanOrEqual(2)
  })

  it('carries one request at a time, and each gets its own answer', async () => {
    const url = await listen(
      createHttpServer(async (request, response) => {
        const said = await textOf(request)
        setTimeout(() => response.end(`${said} ${request.headers['x-n']}`), (Number(said) * 7) % 40)
      }),
    )
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, n) => send(url, { body: `${n}`, lines: `x-n: n${n}\r\n` })),
      )
      expect(answers.map((answer) => answer.kind === 'response' && answer.body)).toEqual(
        Array.from({ length: 200 }, (_, n) => `${n} n${n}`),
      )
    }
    expect(sockets.length).toBeLessThanOrEqual(400)
  })

  it('is closed after a few seconds without work', async () => {
    const url = await byHand((socket) => socket.write(OK))
    await send(url)
    await eventually(() => sockets.every((socket) => socket.destroyed || socket.readableEnded), { timeoutMs: 8000 })
  })

  it('is not used again where the server closes it without a word, as far as that is seen', async () => {
    const url = await byHand((socket) => socket.end(OK))
    for (let n = 0; n < 30; n++) expect(await send(url)).toMatchObject(fine)
    expect(sockets).toHaveLength(30)
  })

  it.each([
    ['says that it closes', `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok`],
    ['keeps it for a moment only', `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok`],
    ['speaks HTTP/1.0', `HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok`],
    ['sends more than its answer', `${OK}HTTP/1.1 500 -\r\nContent-Length: 3\r\n\r\nbad`],
  ])('is not used again where the server %s', async (_what, answer) => {
    const url = await byHand((socket) => socket.write(answer))
    for (let n = 1; n <= 3; n++) {
      expect(await send(url)).toMatchObject(fine)
      expect(sockets).toHaveLength(n)
      await eventually(() => sockets.at(-1)?.readableEnded || sockets.at(-1)?.destroyed)
    }
  })

  it('on which an answer comes that nobody asked for is not used again', async () => {
    const url = await byHand((socket) => {
      socket.write(OK)
      if (sockets.length === 1) setTimeout(() => socket.write('HTTP/1.1 500 -\r\nContent-Length: 3\r\n\r\nbad'), 20)
    })
    expect(await send(url)).toMatchObject(fine)
    await eventually(() => sockets[0]?.readableEnded || sockets[0]?.destroyed)
    expect(await send(url)).toMatchObject(fine)
    expect(sockets).toHaveLength(2)
  })

  it('on which a request was answered before it was read is not used again', async () => {
    const url = await listen(
      createServer((socket) => {
        socket.once('data', () => {
          socket.pause()
          socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno')
        })
      }),
    )
    const body = JSON.stringify('x'.repeat(8_000_000))
    for (let n = 1; n <= 2; n++) {
      expect(await send(url, { body })).toMatchObject({ status: 413, body: 'no' })
      expect(sockets).toHaveLength(n)
    }
  })

  it('ends with the request that is given up, and the server sees it', async () => {
    let closed = 0
    const arrived = Promise.withResolvers<void>()
    const url = await byHand((socket) => {
      socket.on('close', () => closed++)
      arrived.resolve()
    })
    const request = { origin: url, ranges, path: '/', lines: '', body: '1', timeoutMs: 60_000 }
    const result = Promise.withResolvers<AttemptResult>()
    const sending = sender.send(request, result.resolve)
    // Not before the server has it: what it never saw begin, it cannot see end.
    await arrived.promise
    sending.end({ kind: 'failed', reason: 'cancelled', error: 'enough' })
    expect(await result.promise).toMatchObject({ kind: 'failed', reason: 'cancelled', error: 'enough' })
    await eventually(() => closed === 1)
    expect(await send(url, { timeoutMs: 1000 })).toMatchObject({ kind: 'failed', reason: 'timeout' })
    await eventually(() => closed === 2)
  })

  it('that stands only when nobody waits any more carries nothing', async () => {
    const requests: string[] = []
    const url = await byHand((socket, request) => {
      requests.push(request)
      socket.write(OK)
    })
    const sending = new Promise<AttemptResult>((resolve) => {
      const request = { origin: url, ranges, path: '/', lines: '', body: '1', timeoutMs: 5000 }
      sender.send(request, resolve).end({ kind: 'failed', reason: 'cancelled', error: 'enough' })
    })
    expect(await sending).toMatchObject({ kind: 'failed' })
    await eventually(() => sockets.length === 1)
    expect(await send(url, { body: '2' })).toMatchObject(fine)
    expect(requests.map((request) => request.at(-1))).toEqual(['2'])
  })

  it('that stands only when the sender has stopped carries nothing, and what waited for it has failed', async () => {
    const requests: string[] = []
    const url = await byHand((socket, request) => {
      requests.push(request)
      socket.write(OK)
    })
    const answers = Promise.all([1, 2, 3].map(() => send(url)))
    await sender.close()
    for (const answer of await answers) expect(answer).toMatchObject({ kind: 'failed', reason: 'connection_reset' })
    await eventually(() => sockets.length === 3 && sockets.every((socket) => socket.destroyed || socket.readableEnded))
    expect(requests).toEqual([])
  })

  it('to an origin that is not delivered to any more is closed when its answer has come', async () => {
    const url = await byHand((socket) => setTimeout(() => socket.write(OK), 50))
    const answer = send(url)
    await eventually(() => sockets.length === 1)
    sender.keepOnly([])
    expect(await answer).toMatchObject(fine)
    await eventually(() => sockets[0]?.readableEnded || sockets[0]?.destroyed)
  })
})

describe('a request', () => {
  it('is written as bytes: its length counts them, and headers are ISO 8859-1', async () => {
    let came = Buffer.alloc(0)
    const url = await listen(
      createServer((socket) => {
        socket.on('data', (chunk) => {
          came = Buffer.concat([came, chunk as Buffer])
          if (came.includes('!')) socket.write(OK)
        })
      }),
    )
    const body = '"漢字 😀 é"!'
    await send(url, { path: '/a?b=c', lines: 'x-name: caf\xe9\r\nx-plain: yes\r\n', body })
    const head = `POST /a?b=c HTTP/1.1\r\nhost: ${new URL(url).host}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nx-name: caf\xe9\r\nx-plain: yes\r\n\r\n`
    expect(came.equals(Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]))).toBe(true)
  })

  it.each([
    ['a path that would end its line', { path: '/a HTTP/1.1\r\nx-other: b' }],
    ['a path that is none', { path: 'a' }],
  ])('with %s is a failed attempt, and nothing is sent', async (_what, request) => {
    const url = await byHand((socket) => socket.write(OK))
    expect(await send(url, request)).toMatchObject({ kind: 'failed', reason: 'network' })
    expect(sockets).toHaveLength(0)
  })

  it('waits for the answer itself where the server says something before it', async () => {
    const url = await byHand((socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
      setTimeout(() => socket.write(OK), 10)
    })
    expect(await send(url)).toMatchObject(fine)
  })
})

import { readFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { AttemptResult } from '@millrace/engine'
import { type CertificateAuthority, createCertificateAuthority } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSender, type Sender, type SendRequest } from '../src/delivery/sender.ts'
import { OPEN_TARGETS } from './fixture.ts'

const ranges = OPEN_TARGETS.of('shop')
const trusted = getCACertificates('default')
let authority: CertificateAuthority
beforeAll(() => {
  authority = createCertificateAuthority()
  setDefaultCACertificates([...trusted, readFileSync(authority.caFile, 'utf8')])
})
afterAll(() => {
  setDefaultCACertificates(trusted)
  authority.remove()
})

let server: Server
let sender: Sender
beforeEach(() => {
  sender = createSender()
})
afterEach(async () => {
  await sender.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

type Handler = (body: string, response: ServerResponse) => void

async function listen(scheme: 'http' | 'https', handler: Handler): Promise<string> {
  const { certFile, keyFile } = authority.issue('localhost')
  const files = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
  server = scheme === 'http' ? createServer() : createTlsServer(files)
  server.on('request', async (request, response: ServerResponse) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    handler(Buffer.concat(pieces).toString(), response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `${scheme}://localhost:${(server.address() as AddressInfo).port}`
}

const send = (origin: string, request: Partial<SendRequest> = {}) =>
  new Promise<AttemptResult>((resolve) =>
    sender.send({ origin, ranges, path: '/', lines: '', body: '1', timeoutMs: 5000, ...request }, resolve),
  )

const bodyOf = (result: AttemptResult) => (result.kind === 'response' ? result.body : result.error)

describe.each(['http', 'https'] as const)('an answer over %s', (scheme) => {
  it('is its own where its pieces come between those of others', async () => {
    const COUNT = 40
    const waiting: { readonly body: string; readonly response: ServerResponse }[] = []
    const url = await listen(scheme, async (body, response) => {
      waiting.push({ body, response })
      if (waiting.length < COUNT) return
      for (let piece = 0; piece < 5; piece++) {
        for (const each of waiting) each.response.write(`${each.body}-${piece} `.repeat(50))
        await new Promise(setImmediate)
      }
      for (const each of waiting) each.response.end()
    })
    const answers = await Promise.all(Array.from({ length: COUNT }, (_, n) => send(url, { body: `job${n}` })))
    const expected = (n: number) => [0, 1, 2, 3, 4].map((piece) => `job${n}-${piece} `.repeat(50)).join('')
    expect(answers.map(bodyOf)).toEqual(answers.map((_, n) => expected(n)))
  })

  it('is whole where it is longer than what is read at once', async () => {
    const text = JSON.stringify({ rows: Array.from({ length: 9000 }, (_, n) => n) })
    const url = await listen(scheme, (_body, response) => response.end(text))
    const [first, second] = await Promise.all([send(url), send(url)])
    expect(bodyOf(first)).toBe(text)
    expect(bodyOf(second)).toBe(text)
  })

  it('comes from the address that answers where the name has several', async () => {
    sender = createSender({
      resolve: (_name, _options, callback) =>
        callback(
          null,
          ['127.0.0.2', '127.0.0.1'].map((address) => ({ address, family: 4 })),
        ),
    })
    const url = await listen(scheme, (body, response) => response.end(`heard ${body}`))
    expect(bodyOf(await send(url, { body: 'one' }))).toBe('heard one')
    expect(bodyOf(await send(url, { body: 'two' }))).toBe('heard two')
  })
})

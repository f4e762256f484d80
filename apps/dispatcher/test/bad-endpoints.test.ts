import { createServer, type Server, type Socket } from 'node:net'
import { eventually, freePort, type ScriptedBehaviour } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { expectBalance, metricOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
const servers: Server[] = []
const sockets = new Set<Socket>()
beforeAll(async () => {
  rig = await startRig()
})
afterAll(async () => {
  for (const server of servers) server.close()
  for (const socket of sockets) socket.destroy()
  await rig.stop()
})
afterEach(() => expectBalance(rig.client))

/** A server that speaks to each connection by hand. */
async function rawServer(serve: (socket: Socket) => void): Promise<string> {
  const port = await freePort()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => serve(socket))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return `http://127.0.0.1:${port}`
}

/** Delivers one job to an endpoint that never does well; resolves with its dead letter. */
async function deliverTo(url: string, behaviour?: ScriptedBehaviour, fields: object = {}) {
  const namespace = await rig.service([{ name: 'mail', retries: 1, retryDelayMs: 5, timeoutMs: 2000, ...fields }], url)
  if (behaviour) rig.receiver.script(pathOf(namespace, 'mail'), behaviour)
  const id = await rig.client.enqueue(namespace, 'mail', { data: { keep: 'me' } })
  await rig.client.until(namespace, 'mail', { dead: 1, running: 0, scheduled: 0 })
  const [letter] = await rig.client.deadLetters(namespace)
  expect(letter).toMatchObject({ id, attempts: 2, data: { keep: 'me' } })
  return letter
}

describe('an endpoint that', () => {
  it('redirects is not followed', async () => {
    const letter = await deliverTo(rig.receiver.url, { kind: 'redirect', to: `${rig.receiver.url}/elsewhere` })
    expect(letter).toMatchObject({ reason: 'redirect', lastResponse: { status: 302 } })
    expect(rig.receiver.requests('/elsewhere')).toEqual([])
  })

  it('resets the connection', async () => {
    expect(await deliverTo(rig.receiver.url, { kind: 'reset' })).toMatchObject({ reason: 'connection_reset' })
  })

  it('answers garbage', async () => {
    expect(await deliverTo(rig.receiver.url, { kind: 'garbage' })).toMatchObject({ reason: 'bad_response' })
  })

  it('answers half a response, even one that began with 200', async () => {
    expect(await deliverTo(rig.receiver.url, { kind: 'half' })).toMatchObject({ reason: 'incomplete_response' })
  })

  it('hangs past timeoutMs', async () => {
    const letter = await deliverTo(rig.receiver.url, { kind: 'hang' }, { timeoutMs: 100 })
    expect(letter).toMatchObject({ reason: 'timeout', lastResponse: { error: 'no complete answer within 100 ms' } })
  })

  it('sends headers and never ends the body', async () => {
    const url = await rawServer((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'))
    expect(await deliverTo(url, undefined, { timeoutMs: 150 })).toMatchObject({ reason: 'timeout' })
  })

  it('sends headers without end', async () => {
    const url = await rawServer((socket) => {
      const more = () => socket.writable && socket.write(`x-pad: ${'x'.repeat(8000)}\r\n`, () => setImmediate(more))
      socket.write('HTTP/1.1 200 OK\r\n', more)
    })
    expect(await deliverTo(url)).toMatchObject({ reason: 'bad_response' })
  })

  it('closes the connection without a word', async () => {
    const url = await rawServer((socket) => socket.end())
    expect(await deliverTo(url)).toMatchObject({ reason: 'connection_reset' })
  })

  it('is not there', async () => {
    const letter = await deliverTo(`http://127.0.0.1:${await freePort()}`)
    expect(letter).toMatchObject({
      reason: 'connection_refused',
      lastResponse: { error: expect.stringContaining('ECONNREFUSED') },
    })
  })

  it('has a name that does not resolve', async () => {
    expect(await deliverTo('http://no-such-host.invalid')).toMatchObject({ reason: 'dns' })
  })

  it('speaks no TLS where https is expected', async () => {
    expect(await deliverTo(rig.receiver.url.replace('http:', 'https:'))).toMatchObject({ reason: 'tls' })
  })
})

describe('an endless body', () => {
  it('of a 200 counts by its status, and is not read to the end', async () => {
    const url = await rawServer((socket) => {
      const more = () => socket.writable && socket.write('x'.repeat(65_536), () => setImmediate(more))
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n', more)
    })
    const namespace = await rig.service([{ name: 'mail', retries: 0 }], url)
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 1, running: 0 })
  })
})

describe('a service that is down', () => {
  it('gets everything when it comes up', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 50, retryDelayMs: 50, backoff: { type: 'fixed' } }])
    const path = pathOf(namespace, 'mail')
    await rig.receiver.close()
    for (let n = 0; n < 20; n++) await rig.client.enqueue(namespace, 'mail', { data: n })
    // The first refusals open the circuit; what has not been tried by then burns no attempt.
    await eventually(
      async () => (await metricOf(rig.client, 'millrace_circuit_open', { namespace, scope: 'origin' })) === 1,
    )
    await rig.client.until(namespace, 'mail', { running: 0, succeeded: 0, dead: 0 })
    await rig.receiver.reopen()
    await rig.client.until(namespace, 'mail', { succeeded: 20, dead: 0, scheduled: 0, running: 0 })
    const delivered = rig.receiver.requests(path).map((request) => (request.json() as { data: number }).data)
    expect(delivered.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })
})

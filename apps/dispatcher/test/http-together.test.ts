import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { AttemptResult } from '@millrace/engine'
import { eventually } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSender, type Sender, type Sending, type SendRequest } from '../src/delivery/sender.ts'
import { OPEN_TARGETS } from './fixture.ts'

/** A server in a thread of its own, so that it answers while this one stands still. It counts what it wrote in shared memory, and
 * tells which requests it saw. */
const SERVER = `
const { createServer } = require('node:http')
const { parentPort, workerData } = require('node:worker_threads')
const answered = new Int32Array(workerData)
const seen = []
parentPort.on('message', () => parentPort.postMessage(seen))
const server = createServer((request, response) => {
  seen.push(request.url)
  request.resume().on('end', () => response.end(request.url, () => {
    Atomics.add(answered, 0, 1)
    Atomics.notify(answered, 0)
  }))
})
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

let sender: Sender
let server: Worker
let answered: Int32Array<SharedArrayBuffer>
let origin: string
beforeEach(async () => {
  sender = createSender()
  const memory = new SharedArrayBuffer(4)
  answered = new Int32Array(memory)
  server = new Worker(SERVER, { eval: true, workerData: memory })
  const [port] = (await once(server, 'message')) as [number]
  origin = `http://127.0.0.1:${port}`
})
afterEach(async () => {
  await sender.close()
  await server.terminate()
})

const ranges = OPEN_TARGETS.of('shop')
const late: AttemptResult = { kind: 'failed', reason: 'timeout', error: 'too late' }

function send(path: string, results: AttemptResult[]): Sending {
  const request: SendRequest = { origin, ranges, path, lines: '', body: '', timeoutMs: 60_000 }
  return sender.send(request, (result) => results.push(result))
}

/** Stands still until the server has written so many answers. */
function blockUntilAnswered(count: number): void {
  for (let seen = Atomics.load(answered, 0); seen < count; seen = Atomics.load(answered, 0)) {
    if (Atomics.wait(answered, 0, seen, 10_000) === 'timed-out') throw new Error(`${seen} of ${count} were answered`)
  }
}

/** Opens so many connections, so that a request afterwards is written in the moment in which it is sent. */
async function openConnections(count: number): Promise<void> {
  const results: AttemptResult[] = []
  for (let n = 0; n < count; n++) send('/open', results)
  await eventually(() => results.length === count)
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('answers that come in one turn of the event loop', () => {
  it('are told once each, and one that is whole counts, whoever gives the request up before it is told', async () => {
    await openConnections(3)
    const results: AttemptResult[][] = [[], [], []]
    const sendings = results.map((into, index) => send(`/${index}`, into))
    // The requests are written by now, and the loop has not looked for answers: it does when this returns, and then they are all there.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    let toldBefore: number | undefined
    // What is put off here comes before what the answers put off, which are there when the loop looks again.
    setImmediate(() => {
      toldBefore = results.flat().length
      for (const sending of sendings) sending.end(late)
    })
    blockUntilAnswered(6)
    await eventually(() => results.every((told) => told.length > 0))
    await nextTurn()
    expect(toldBefore).toBe(0)
    expect(results).toMatchObject(results.map((_, index) => [{ kind: 'response', status: 200, body: `/${index}` }]))
  })

  it('leave their connections to the next requests, in whatever order those come', async () => {
    await openConnections(20)
    for (let round = 2; round <= 5; round++) {
      const results: AttemptResult[] = []
      for (let n = 0; n < 20; n++) send(`/${round}`, results)
      await nextTurn()
      blockUntilAnswered(20 * round)
      await eventually(() => results.length === 20)
      expect(results.every((result) => result.kind === 'response' && result.body === `/${round}`)).toBe(true)
    }
  })
})

describe('a request that is given up in the moment in which it begins', () => {
  it('is not sent, and the connection it would have taken is not used for another', async () => {
    await openConnections(1)
    const results: AttemptResult[] = []
    send('/given-up', results).end(late)
    send('/next', results)
    await eventually(() => results.length === 2)
    expect(results).toMatchObject([late, { body: '/next' }])
    server.postMessage('seen')
    expect(await once(server, 'message')).toEqual([['/open', '/next']])
  })
})

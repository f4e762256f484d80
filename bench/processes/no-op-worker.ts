import { once } from 'node:events'
import { createServer } from 'node:http'
import { Meter, type MeterOptions } from '../meter.ts'
import { answerWith } from './answers.ts'

// A worker that does nothing, as fast as node:http can, and counts its requests; or that takes its time over each.
let meter: Meter | undefined
let handlerMs = 0
let received = 0
let whenReceived: { count: number; resolve(): void } | undefined

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    meter?.count()
    if (++received === whenReceived?.count) whenReceived.resolve()
    const answer = () => response.end('{"success":true}')
    if (handlerMs > 0) setTimeout(answer, handlerMs)
    else answer()
  })
})
server.listen(0, '127.0.0.1')
const listening = once(server, 'listening')

answerWith({
  async port() {
    await listening
    const address = server.address()
    return typeof address === 'object' ? address?.port : undefined
  },
  prepare(options: MeterOptions & { handlerMs?: number }) {
    meter = new Meter(options)
    handlerMs = options.handlerMs ?? 0
    received = 0
    whenReceived = undefined
  },
  /** Resolves with the request that makes so many since `prepare`. */
  received(count: number) {
    if (received >= count) return
    const { promise, resolve } = Promise.withResolvers<void>()
    whenReceived = { count, resolve }
    return promise
  },
  measured: () => meter?.done,
})

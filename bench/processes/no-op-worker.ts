import { once } from 'node:events'
import { createServer } from 'node:http'
import { Meter, type MeterOptions } from '../meter.ts'
import { answerWith } from './answers.ts'

// A worker that does nothing, as fast as node:http can, and counts its requests.
let meter: Meter | undefined

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    meter?.count()
    response.end('{"success":true}')
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
  prepare(options: MeterOptions) {
    meter = new Meter(options)
  },
  measured: () => meter?.done,
})

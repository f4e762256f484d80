import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { type AppServer, createHttpServer, createLogger, createMetrics } from '../src/index.ts'

let server: AppServer
let port = 0
const order: string[] = []
beforeAll(async () => {
  server = await createHttpServer({
    ...{ title: 'Test', version: '1', logger: createLogger({ app: 'test', level: 'silent' }) },
    ...{ metrics: createMetrics({ app: 'test', version: '1', maxNames: 10 }), bodyLimitBytes: 1000 },
    ready: { process: async () => ({}) },
  })
  server.addHook('onRequest', (request, _reply, done) => {
    request.raw.once('end', () => order.push('read'))
    done()
  })
  const schema = { body: z.strictObject({ n: z.number() }) }
  server.post('/take', { schema }, async ({ body, rawBody }) => {
    order.push(`handled ${body.n}`)
    return rawBody
  })
  await server.listen({ port: 0, host: '127.0.0.1' })
  port = (server.server.address() as { port: number }).port
})
afterAll(() => server.close())

function requestOf(body: string): string {
  return `POST /take HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

it('handles bodies that end in one turn of the event loop together, each by itself', async () => {
  const socket = connect(port, '127.0.0.1')
  // One after the other on one connection, so that the server reads all of them at once.
  socket.end(['{"n":1}', '{"m":2}', '{"n":3 }', '{"n":4,}'].map(requestOf).join(''))
  const answers = (await text(socket)).split(/(?=HTTP\/1.1 )/)
  expect(order).toEqual(['read', 'read', 'read', 'read', 'handled 1', 'handled 3'])
  expect(answers.map((answer) => answer.slice(9, 12))).toEqual(['200', '422', '200', '400'])
  const bodies = answers.map((answer) => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))))
  const [unfit, malformed] = [{ code: 'request.invalid' }, { code: 'request.malformed_json' }]
  expect(bodies).toMatchObject([{ n: 1 }, unfit, { n: 3 }, malformed])
})

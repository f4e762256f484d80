import { createServer } from 'node:http'

// A worker that does nothing, as fast as node:http can, and says when its first and last requests came.
let count = 0
let firstAt = 0
let lastAt = 0

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    lastAt = performance.now()
    if (count++ === 0) firstAt = lastAt
    response.end('{"success":true}')
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' ? address?.port : 0 })
})
process.on('message', (message) => {
  if (message === 'reset') count = 0
  process.send?.({ count, spanMs: lastAt - firstAt })
})

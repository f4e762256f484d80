import { createServer, connect as open, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { isConnectionError } from '../src/index.ts'

/** What writing to a socket of Node's says, after something was done to it. */
async function errorOfWriting(after: (socket: Socket) => void): Promise<Error> {
  const server = createServer((socket) => socket.resume())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const socket = open(typeof address === 'object' && address ? address.port : 0, '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.on('error', () => undefined)
  after(socket)
  const error = await new Promise<Error>((resolve) =>
    socket.write('PING\r\n', (problem) => problem && resolve(problem)),
  )
  socket.destroy()
  await new Promise((resolve) => server.close(resolve))
  return error
}

describe('an error of a connection', () => {
  it('is what a socket says that was ended or destroyed under a command', async () => {
    const ended = await errorOfWriting((socket) => socket.end())
    const destroyed = await errorOfWriting((socket) => socket.destroy())
    expect([ended, destroyed].map((error) => (error as NodeJS.ErrnoException).code)).toEqual([
      'ERR_STREAM_WRITE_AFTER_END',
      'ERR_STREAM_DESTROYED',
    ])
    expect([ended, destroyed].map(isConnectionError)).toEqual([true, true])
  })

  it('is no mistake of our own', () => {
    const reply = Object.assign(new Error('WRONGTYPE Operation against a key'), { name: 'ReplyError' })
    const invalid = Object.assign(new TypeError('of type string'), { code: 'ERR_INVALID_ARG_TYPE' })
    expect([reply, invalid, new Error('what is this'), 'text'].map(isConnectionError)).toEqual([
      false,
      false,
      false,
      false,
    ])
  })
})

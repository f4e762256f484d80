import { createServer } from 'node:net'

// Below the range from which the kernel takes ports for outgoing connections (32768 on Linux, 49152 on macOS). A server
// that is down for a moment, to come up again on its port, must not lose it to some client's connection meanwhile.
const LOWEST_PORT = 12_000
const HIGHEST_PORT = 32_000
const MAX_TRIES = 100

/** A port on 127.0.0.1 that nothing listens on right now. Drawn at random, so that test files side by side do not meet. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT))
    if (await canListen(port)) return port
  }
  throw new Error(`No free port between ${LOWEST_PORT} and ${HIGHEST_PORT} after ${MAX_TRIES} tries.`)
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)))
  })
}

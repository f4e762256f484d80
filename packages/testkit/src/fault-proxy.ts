import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './free-port.ts'

export interface FaultProxyOptions {
  readonly targetPort: number
  /** Only for `url`; "redis" unless told. */
  readonly scheme?: string
}

/** A TCP proxy on 127.0.0.1 that can behave like a broken network. */
export interface FaultProxy {
  readonly port: number
  /** `<scheme>://127.0.0.1:<port>` */
  readonly url: string
  /** Destroys the connections there are and refuses new ones. */
  cut(): Promise<void>
  /** Accepts connections again after `cut()`. */
  heal(): Promise<void>
  /** Keeps connections open and accepts new ones, but passes no bytes: a network that drops packets. */
  stall(): void
  /** Passes bytes again after `stall()`, first those that waited. */
  resume(): void
  stop(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly target: Socket
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const port = await freePort()
  const pairs = new Set<Pair>()
  let stalled = false
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const pair = connect(client, options.targetPort)
    pairs.add(pair)
    client.once('close', () => pairs.delete(pair))
    if (!stalled) join(pair)
  })

  async function cut(): Promise<void> {
    const closed = close(server)
    for (const { client, target } of pairs) {
      client.resetAndDestroy()
      target.destroy()
    }
    await closed
  }

  await listen(server, port)
  return {
    port,
    url: `${options.scheme ?? 'redis'}://127.0.0.1:${port}`,
    cut,
    heal: () => listen(server, port),
    stall() {
      stalled = true
      for (const pair of pairs) part(pair)
    },
    resume() {
      stalled = false
      for (const pair of pairs) join(pair)
    },
    stop: cut,
  }
}

/** Both sides read only once they are joined, so that a pair made while stalled keeps its bytes in the kernel. */
function connect(client: Socket, targetPort: number): Pair {
  const target = createConnection({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true })
  const pair = { client, target }
  for (const [socket, other] of [
    [client, target],
    [target, client],
  ] as const) {
    socket.setNoDelay(true)
    // What happens to one side happens to the other; `close` follows and does it.
    socket.on('error', () => {})
    socket.once('close', () => other.destroy())
  }
  return pair
}

function join({ client, target }: Pair): void {
  client.pipe(target)
  target.pipe(client)
}

function part({ client, target }: Pair): void {
  client.unpipe(target)
  target.unpipe(client)
  client.pause()
  target.pause()
}

function listen(server: Server, port: number): Promise<void> {
  if (server.listening) return Promise.resolve()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host: '127.0.0.1' }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // An error only says that it was not listening.
    server.close(() => resolve())
  })
}

import { createServer, type Server } from 'node:net'
import { freePort } from './free-port.ts'
import { ProxiedPair } from './proxied-pair.ts'

export interface FaultProxyOptions {
  /** A function where the target is started after the proxy, because it has to know the proxy's port. */
  readonly targetPort: number | (() => number)
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
  /** Each piece of data takes so long in either direction; 0 ends that. */
  slow(delayMs: number): void
  /**
   * Half-opens the connections there are: they pass nothing any more, in either direction, and are never closed from here;
   * new ones work. What a failover, or a firewall that forgot, looks like.
   */
  freeze(): void
  /** How many of the frozen connections the client still holds on to. */
  frozen(): number
  /** From the first request that matches on, its connection's answers vanish. Resolves when one has matched. */
  swallowAnswers(request: RegExp): Promise<void>
  /** Resets the connections that are frozen or whose answers vanish. */
  reset(): void
  stop(): Promise<void>
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const port = await freePort()
  const pairs = new Set<ProxiedPair>()
  let stalled = false
  let delayMs = 0
  let wanted: { readonly request: RegExp; readonly matched: () => void } | undefined
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const { targetPort } = options
    const pair = new ProxiedPair(client, typeof targetPort === 'number' ? targetPort : targetPort(), {
      delayMs: () => delayMs,
      onRequest(bytes) {
        if (!wanted?.request.test(bytes.toString('latin1'))) return
        pair.state = 'swallowing'
        wanted.matched()
        wanted = undefined
      },
      onClose: () => pairs.delete(pair),
    })
    pairs.add(pair)
    if (stalled) pair.pause()
  })

  async function cut(): Promise<void> {
    const closed = close(server)
    for (const pair of [...pairs]) pair.reset()
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
      for (const pair of pairs) pair.pause()
    },
    resume() {
      stalled = false
      for (const pair of pairs) pair.resume()
    },
    slow(ms) {
      delayMs = ms
    },
    freeze() {
      for (const pair of pairs) pair.state = 'frozen'
    },
    frozen: () => [...pairs].filter(({ state }) => state === 'frozen').length,
    swallowAnswers: (request) =>
      new Promise((resolve) => {
        wanted = { request, matched: resolve }
      }),
    reset() {
      for (const pair of [...pairs]) if (pair.state !== 'open') pair.reset()
    },
    stop: cut,
  }
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

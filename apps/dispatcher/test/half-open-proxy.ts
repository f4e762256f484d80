import { createConnection, createServer, type Socket } from 'node:net'
import { freePort } from '@millrace/testkit'

/** A TCP proxy to a Redis that loses answers and whole connections while new ones work: what a failover looks like. */
export interface HalfOpenProxy {
  readonly url: string
  /** From the first request that matches on, its connection's answers vanish. Resolves when one has matched. */
  swallowAnswers(request: RegExp): Promise<void>
  /** The connections there are pass nothing any more, in either direction, and are not closed. */
  freeze(): void
  /** Resets the connections whose answers vanish or that are frozen. */
  reset(): void
  stop(): void
}

interface Pair {
  readonly client: Socket
  readonly target: Socket
  state: 'open' | 'swallowing' | 'frozen'
}

export async function startHalfOpenProxy(targetPort: number): Promise<HalfOpenProxy> {
  const port = await freePort()
  const pairs = new Set<Pair>()
  let wanted: { readonly request: RegExp; readonly matched: () => void } | undefined

  const server = createServer((client) => {
    const target = createConnection({ port: targetPort, host: '127.0.0.1' })
    const pair: Pair = { client, target, state: 'open' }
    pairs.add(pair)
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.once('close', () => {
        other.destroy()
        pairs.delete(pair)
      })
    }
    client.on('data', (bytes) => {
      if (wanted?.request.test(bytes.toString('latin1'))) {
        pair.state = 'swallowing'
        wanted.matched()
        wanted = undefined
      }
      if (pair.state !== 'frozen') target.write(bytes)
    })
    target.on('data', (bytes) => {
      if (pair.state === 'open') client.write(bytes)
    })
  })
  const reset = (which: (pair: Pair) => boolean) => {
    for (const { client, target } of [...pairs].filter(which)) {
      client.resetAndDestroy()
      target.destroy()
    }
  }
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))

  return {
    url: `redis://127.0.0.1:${port}`,
    swallowAnswers: (request) =>
      new Promise((resolve) => {
        wanted = { request, matched: resolve }
      }),
    freeze() {
      for (const pair of pairs) pair.state = 'frozen'
    },
    reset: () => reset((pair) => pair.state !== 'open'),
    stop() {
      server.close()
      reset(() => true)
    },
  }
}

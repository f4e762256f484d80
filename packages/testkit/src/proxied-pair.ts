import { createConnection, type Socket } from 'node:net'

export interface PairWatch {
  /** What each piece of data is held back for, asked anew for each. */
  delayMs(): number
  /** Before the bytes are passed on. */
  onRequest(bytes: Buffer): void
  onClose(): void
}

/** One connection through the proxy: the client's socket and the one to the target. */
export class ProxiedPair {
  /** Swallowing: answers vanish. Frozen: nothing passes in either direction, and what happens to the target is not told. */
  state: 'open' | 'swallowing' | 'frozen' = 'open'
  readonly #client: Socket
  readonly #target: Socket
  readonly #watch: PairWatch

  constructor(client: Socket, targetPort: number, watch: PairWatch) {
    this.#client = client
    this.#target = createConnection({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true })
    this.#watch = watch
    client.on('data', (bytes) => watch.onRequest(bytes))
    this.#join(client, this.#target, () => this.state !== 'frozen')
    this.#join(this.#target, client, () => this.state === 'open')
    client.once('close', () => {
      this.#target.destroy()
      watch.onClose()
    })
    this.#target.once('close', () => {
      if (this.state !== 'frozen') client.destroy()
    })
  }

  /** Neither side is read, so what comes waits in the kernel. */
  pause(): void {
    this.#client.pause()
    this.#target.pause()
  }

  resume(): void {
    this.#client.resume()
    this.#target.resume()
  }

  reset(): void {
    this.#client.resetAndDestroy()
    this.#target.destroy()
  }

  #join(from: Socket, to: Socket, passes: () => boolean): void {
    // Pieces keep their order, whatever the delay does while some are under way: a network that swapped two would be none. Timers of
    // different lengths do not keep it, since Node cuts their lengths to whole milliseconds; so each lets the oldest piece go.
    const waiting: (() => void)[] = []
    let lastAt = 0
    const later = (act: () => void) => {
      const now = performance.now()
      lastAt = Math.max(lastAt, now + this.#watch.delayMs())
      if (lastAt <= now && waiting.length === 0) return act()
      waiting.push(act)
      setTimeout(() => waiting.shift()?.(), lastAt - now)
    }
    from.setNoDelay(true)
    // What happens to one side happens to the other; `close` follows and does it.
    from.on('error', () => {})
    from.on('data', (bytes) => {
      if (!passes()) return
      // Without back pressure: what tests send fits into memory, and a pause for it would end that of a stall.
      later(() => to.write(bytes))
    })
    from.on('end', () => {
      if (this.state !== 'frozen') later(() => to.end())
      else if (from === this.#client) from.end()
    })
  }
}

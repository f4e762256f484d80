import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { type Asker, Connection, ConnectionClosedError } from './connection.ts'

/** Who waits for a connection, which stands already or comes, or for the error that there is none. */
export interface Caller extends Asker {
  onConnection(connection: Connection): void
}

export interface OriginConnectionsOptions {
  readonly connect: buildConnector.connector
  readonly maxHeadBytes: number
}

/** An idle connection is kept so long, where the server does not say how long it keeps it. */
const IDLE_MS = 4000
/** Before the server is likely to close it, so that no request meets the closing. */
const CLOSES_EARLIER_MS = 2000
const SWEEP_MS = 1000
const STOPPED = 'the dispatcher has stopped'

interface Idle {
  readonly connection: Connection
  readonly untilMs: number
}

/**
 * The connections to one origin, kept open between requests. There is no limit to them but the number of requests under way.
 *
 * A connection is used again only in the next turn of the event loop: a server that closes after its answer without
 * having said so has closed by then, as far as it does so at once.
 */
export class OriginConnections {
  /** The `host` header of requests to it. */
  readonly host: string
  readonly #options: OriginConnectionsOptions
  readonly #target: buildConnector.Options
  readonly #all = new Set<Connection>()
  /** Used last comes first, so that what is not needed grows old. */
  #idle: Idle[] = []
  #freed: Idle[] = []
  #sweeper: NodeJS.Timeout | undefined
  #isClosed = false
  #isDestroyed = false

  constructor(origin: string, options: OriginConnectionsOptions) {
    const { host, hostname, protocol, port } = new URL(origin)
    this.host = host
    this.#options = options
    this.#target = { host, hostname: hostname.replace(/^\[(.*)\]$/, '$1'), protocol, port }
  }

  /** Give the caller a connection, at once where one is idle. */
  call(caller: Caller): void {
    const idle = this.#takeIdle()
    if (idle) {
      caller.onConnection(idle)
      return
    }
    this.#options.connect(this.#target, (...[error, socket]) => {
      if (!socket) {
        caller.onError(error ?? new Error('no connection'))
        return
      }
      const connection = this.#add(socket as Socket)
      if (!this.#isDestroyed) {
        caller.onConnection(connection)
        return
      }
      connection.abandon()
      caller.onError(new ConnectionClosedError(STOPPED))
    })
  }

  /** Not used by the caller that got it. */
  giveBack(connection: Connection): void {
    this.#free(connection)
  }

  /** Close what is idle, and the rest as soon as it is. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#sweeper)
    for (const { connection } of [...this.#idle.splice(0), ...this.#freed.splice(0)]) connection.abandon()
  }

  /** Close all of them now, and those that are being opened as soon as they stand: nothing is sent any more. */
  destroy(): void {
    this.#isDestroyed = true
    this.close()
    for (const connection of this.#all) connection.close(new ConnectionClosedError(STOPPED))
  }

  #takeIdle(): Connection | undefined {
    const nowMs = performance.now()
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.connection.isClosed && nowMs < idle.untilMs) return idle.connection
      idle.connection.abandon()
    }
    return undefined
  }

  #add(socket: Socket): Connection {
    const connection = new Connection(socket, {
      maxHeadBytes: this.#options.maxHeadBytes,
      onFree: (free) => this.#free(free),
      onClosed: (closed) => this.#all.delete(closed),
    })
    this.#all.add(connection)
    return connection
  }

  #free(connection: Connection): void {
    const { idleSeconds } = connection
    const idleMs = idleSeconds === undefined ? IDLE_MS : idleSeconds * 1000 - CLOSES_EARLIER_MS
    if (this.#isClosed || idleMs <= 0) {
      connection.abandon()
      return
    }
    if (this.#freed.length === 0) setImmediate(this.#rest)
    this.#freed.push({ connection, untilMs: performance.now() + idleMs })
  }

  readonly #rest = () => {
    this.#idle.push(...this.#freed.splice(0))
    this.#sweeper ??= setTimeout(this.#sweep, SWEEP_MS).unref()
  }

  readonly #sweep = () => {
    const nowMs = performance.now()
    const isKept = ({ connection, untilMs }: Idle) => !connection.isClosed && nowMs < untilMs
    const old = this.#idle.filter((idle) => !isKept(idle))
    this.#idle = this.#idle.filter(isKept)
    for (const { connection } of old) connection.abandon()
    this.#sweeper = this.#idle.length === 0 ? undefined : setTimeout(this.#sweep, SWEEP_MS).unref()
  }
}

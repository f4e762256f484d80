import type { Socket } from 'node:net'
import { together } from '@millrace/runtime'
import { AnswerReader, type AnswerSink } from './answer-reader.ts'
import { takePieces } from './reading.ts'
import type { WrittenRequest } from './request.ts'

/** The other side closed the connection before its answer was whole. */
export class ConnectionClosedError extends Error {
  override readonly name = 'ConnectionClosedError'
  readonly code = 'ECONNRESET'
}

/** Who has sent a request over a connection, until its answer is whole or it failed. */
export interface Asker extends AnswerSink {
  onError(error: Error): void
}

export interface ConnectionOptions {
  readonly maxHeadBytes: number
  /** The answer to the last request is whole, and another one may be sent. */
  onFree(connection: Connection): void
  onClosed(connection: Connection): void
}

/** Requests that begin in the same moment are made first and written then. */
const writeSoon = together<Connection>(process.nextTick, (connection) => connection.write())

/** A connection that carries one request at a time. */
export class Connection {
  readonly #socket: Socket
  readonly #reader: AnswerReader
  readonly #options: ConnectionOptions
  #asker: Asker | undefined
  #isClosed = false
  #plain = ''

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket
    this.#options = options
    this.#reader = new AnswerReader(options)
    takePieces(socket, (piece) => this.#read(piece))
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.close(error))
    socket.on('close', () => this.close(new ConnectionClosedError('the endpoint closed the connection')))
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** So long the server keeps it when nothing is asked, by its own word. */
  get idleSeconds(): number | undefined {
    return this.#reader.idleSeconds
  }

  send({ head, body, isPlain }: WrittenRequest, asker: Asker): void {
    this.#asker = asker
    this.#reader.expect(asker)
    if (isPlain) {
      this.#plain = head + body
      writeSoon(this)
      return
    }
    this.#socket.cork()
    this.#socket.write(head, 'latin1')
    this.#socket.write(body, 'utf8')
    this.#socket.uncork()
  }

  /** Write what `send` left to be written. */
  write(): void {
    if (!this.#isClosed) this.#socket.write(this.#plain, 'latin1')
    this.#plain = ''
  }

  /** End it; whoever waits for an answer is told why there is none. */
  close(error: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const asker = this.#asker
    this.#asker = undefined
    this.#socket.destroy()
    this.#options.onClosed(this)
    asker?.onError(error)
  }

  /** End it; nobody waits for an answer any more. */
  abandon(): void {
    this.#asker = undefined
    this.close(new ConnectionClosedError('given up'))
  }

  #read(piece: Buffer): void {
    if (this.#isClosed) return
    try {
      this.#reader.read(piece)
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)))
      return
    }
    if (!this.#reader.isDone || this.#isClosed) return
    this.#asker = undefined
    // A request that is still being written though it is answered: what is left of it would be taken for the next one.
    if (this.#reader.keepsAlive && this.#socket.writableLength === 0) this.#options.onFree(this)
    else this.abandon()
  }

  #onEnd(): void {
    if (this.#reader.close()) this.abandon()
    else this.close(new ConnectionClosedError('the endpoint closed the connection before its answer was whole'))
  }
}

import { type AnswerHead, BadAnswerError, parseAnswerHead } from './answer-head.ts'

/** Gets an answer piece by piece, in the order in which it comes. */
export interface AnswerSink {
  onHead(head: AnswerHead): void
  onBody(piece: Buffer): void
  onEnd(): void
}

type State = 'head' | 'length' | 'close' | 'size' | 'chunk' | 'chunk_end' | 'trailers' | 'done'

/** A line with the size of a chunk, and what a server may add to it. */
const MAX_SIZE_LINE = 1024
const LF = 0x0a
const CR = 0x0d
const START = Buffer.from('HTTP/1.')
const SIZE = /^([\da-fA-F]{1,12})[ \t]*(?:;.*)?$/

/**
 * Reads the answers that come over one connection, one after the other (RFC 9112, sections 4, 6 and 7).
 *
 * It is strict where leniency lets two readers see two different answers: a length and a transfer coding together, two
 * lengths, lines that end without CR, folded lines, spaces before a colon. What is wrong is thrown
 * as a `BadAnswerError`, and the connection is of no use afterwards.
 */
export class AnswerReader {
  readonly #maxHeadBytes: number
  #sink: AnswerSink | undefined
  #state: State = 'done'
  /** What came of a head or a line that is not whole yet. */
  #carry: Buffer | undefined
  /** The last head: a server that answers quickly says the same again until its clock shows another second. */
  #last: { readonly bytes: Buffer; readonly head: AnswerHead } | undefined
  #left = 0
  #trailerBytes = 0
  #keepsAlive = false
  #idleSeconds: number | undefined

  constructor({ maxHeadBytes }: { maxHeadBytes: number }) {
    this.#maxHeadBytes = maxHeadBytes
  }

  /** A request is sent, and its answer goes there. */
  expect(sink: AnswerSink): void {
    this.#sink = sink
    this.#state = 'head'
    this.#keepsAlive = false
  }

  /** Whether the answer is read to its end. */
  get isDone(): boolean {
    return this.#state === 'done'
  }

  /** Of an answer that is done: whether the connection may carry another one. */
  get keepsAlive(): boolean {
    return this.#keepsAlive
  }

  /** So long the server keeps an idle connection, by its own word. */
  get idleSeconds(): number | undefined {
    return this.#idleSeconds
  }

  read(chunk: Buffer): void {
    let rest: Buffer | undefined = chunk
    while (rest !== undefined && rest.length > 0) {
      if (this.#state === 'done') {
        // Nobody asked for it, so nobody can say what it would be the answer to.
        this.#keepsAlive = false
        return
      }
      rest = this.#step(rest)
    }
  }

  /** The other side has closed; whether that ends the answer as it should. */
  close(): boolean {
    if (this.#state !== 'close') return this.#state === 'done'
    this.#finish(false)
    return true
  }

  /** Takes what it can of the piece; the answer is what is left. */
  #step(piece: Buffer): Buffer | undefined {
    switch (this.#state) {
      case 'head':
        return this.#readHead(piece)
      case 'length':
      case 'chunk':
        return this.#readCounted(piece)
      case 'close':
        this.#sink?.onBody(piece)
        return undefined
      case 'size':
        return this.#readLine(piece, MAX_SIZE_LINE, (line) => this.#onSize(line))
      case 'chunk_end':
        return this.#readLine(piece, 2, (line) => {
          if (line !== '') throw new BadAnswerError('a chunk of the answer is longer than it says')
          this.#state = 'size'
        })
      case 'trailers':
        return this.#readLine(piece, this.#maxHeadBytes, (line) => this.#onTrailer(line))
      case 'done':
        return piece
      default:
        return this.#state satisfies never
    }
  }

  #readHead(piece: Buffer): Buffer | undefined {
    const last = this.#last
    if (last && this.#carry === undefined && beginsWith(piece, last.bytes)) {
      this.#onHead(last.head)
      return restOf(piece, last.bytes.length)
    }
    const known = this.#carry?.length ?? 0
    const all = this.#carry ? Buffer.concat([this.#carry, piece]) : piece
    if (known < START.length) checkStart(all)
    const end = all.indexOf('\r\n\r\n', Math.max(0, known - 3))
    const bytes = end < 0 ? all.length : end + 4
    if (bytes > this.#maxHeadBytes)
      throw new BadAnswerError(`the headers of the answer exceed ${this.#maxHeadBytes} bytes`)
    // The piece may lie in memory that is used again, so what is kept of it is a copy.
    if (end < 0) {
      checkFirstLine(all)
      this.#carry = this.#carry ? all : Buffer.from(all)
      return undefined
    }
    this.#carry = undefined
    const head = parseAnswerHead(all.toString('latin1', 0, end))
    this.#last = { bytes: Buffer.from(all.subarray(0, bytes)), head }
    this.#onHead(head)
    return restOf(all, bytes)
  }

  #onHead(head: AnswerHead): void {
    const { status, framing, length } = head
    if (status === 101) throw new BadAnswerError('the answer changes to a protocol that was not asked for')
    // The final one is still to come.
    if (status < 200) return
    this.#keepsAlive = head.keepsAlive
    this.#idleSeconds = head.idleSeconds
    this.#left = length
    this.#sink?.onHead(head)
    if (framing === 'length' && length === 0) this.#finish(this.#keepsAlive)
    else this.#state = framing === 'chunked' ? 'size' : framing
  }

  #readCounted(piece: Buffer): Buffer | undefined {
    const taken = Math.min(piece.length, this.#left)
    this.#left -= taken
    this.#sink?.onBody(taken === piece.length ? piece : piece.subarray(0, taken))
    if (this.#left === 0) {
      if (this.#state === 'chunk') this.#state = 'chunk_end'
      else this.#finish(this.#keepsAlive)
    }
    return restOf(piece, taken)
  }

  #onSize(line: string): void {
    const size = SIZE.exec(line)?.[1]
    if (size === undefined) throw new BadAnswerError('a chunk of the answer has no size')
    this.#left = Number.parseInt(size, 16)
    this.#trailerBytes = 0
    this.#state = this.#left === 0 ? 'trailers' : 'chunk'
  }

  #onTrailer(line: string): void {
    this.#trailerBytes += line.length
    if (line === '') this.#finish(this.#keepsAlive)
    else if (this.#trailerBytes > this.#maxHeadBytes)
      throw new BadAnswerError(`the trailers of the answer exceed ${this.#maxHeadBytes} bytes`)
  }

  /** Reads to the end of a line, and hands it over without that. */
  #readLine(piece: Buffer, maxBytes: number, take: (line: string) => void): Buffer | undefined {
    const end = piece.indexOf(LF)
    const part = end < 0 ? piece : piece.subarray(0, end + 1)
    const all = this.#carry ? Buffer.concat([this.#carry, part]) : part
    if (all.length > maxBytes + 2) throw new BadAnswerError('a line in the body of the answer is too long')
    if (end < 0) {
      this.#carry = this.#carry ? all : Buffer.from(all)
      return undefined
    }
    this.#carry = undefined
    if (all[all.length - 2] !== CR) throw new BadAnswerError('a line of the answer ends without a carriage return')
    take(all.toString('latin1', 0, all.length - 2))
    return restOf(piece, end + 1)
  }

  #finish(keepsAlive: boolean): void {
    this.#state = 'done'
    this.#keepsAlive = keepsAlive
    const sink = this.#sink
    this.#sink = undefined
    sink?.onEnd()
  }
}

/** Of the piece, what is behind so many bytes. */
function restOf(piece: Buffer, bytes: number): Buffer | undefined {
  return bytes < piece.length ? piece.subarray(bytes) : undefined
}

function beginsWith(piece: Buffer, bytes: Buffer): boolean {
  return piece.length >= bytes.length && bytes.compare(piece, 0, bytes.length) === 0
}

function checkStart(all: Buffer): void {
  const known = Math.min(all.length, START.length)
  if (START.compare(all, 0, known, 0, known) !== 0) throw new BadAnswerError('what came back is no HTTP/1.1 answer')
}

/** A server that ends its lines otherwise is told so at once, and not when the request's time is over. */
function checkFirstLine(all: Buffer): void {
  const end = all.indexOf(LF)
  if (end >= 0 && all[end - 1] !== CR) throw new BadAnswerError('a line of the answer ends without a carriage return')
}

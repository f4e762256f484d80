/** What came back is not an HTTP/1.1 answer, or not one that may be understood in two ways. */
export class BadAnswerError extends Error {
  override readonly name = 'BadAnswerError'
  readonly code = 'ERR_BAD_ANSWER'
}

/** Gets an answer piece by piece, in the order in which it comes. */
export interface AnswerSink {
  onHead(status: number, headers: AnswerHeaders): void
  onBody(piece: Buffer): void
  onEnd(): void
}

/** By name in lower case; the values of a name that comes several times are joined with a comma. */
export type AnswerHeaders = Record<string, string>

type State = 'head' | 'length' | 'close' | 'size' | 'chunk' | 'chunk_end' | 'trailers' | 'done'

/** A line with the size of a chunk, and what a server may add to it. */
const MAX_SIZE_LINE = 1024
const LF = 0x0a
const CR = 0x0d
const START = Buffer.from('HTTP/1.')
const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const NAME = /^[!#$%&'*+\-.^_`|~\w]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const DIGITS = /^\d{1,15}$/
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
    const known = this.#carry?.length ?? 0
    const all = this.#carry ? Buffer.concat([this.#carry, piece]) : piece
    if (known < START.length) checkStart(all)
    const end = all.indexOf('\r\n\r\n', Math.max(0, known - 3))
    const bytes = end < 0 ? all.length : end + 4
    if (bytes > this.#maxHeadBytes)
      throw new BadAnswerError(`the headers of the answer exceed ${this.#maxHeadBytes} bytes`)
    if (end < 0) {
      checkFirstLine(all)
      // The piece may lie in memory that is used again.
      this.#carry = this.#carry ? all : Buffer.from(all)
      return undefined
    }
    this.#carry = undefined
    this.#onHead(all.toString('latin1', 0, end))
    return bytes < all.length ? all.subarray(bytes) : undefined
  }

  #onHead(text: string): void {
    const lineEnd = text.indexOf('\r\n')
    const statusLine = lineEnd < 0 ? text : text.slice(0, lineEnd)
    const status = Number(STATUS_LINE.exec(statusLine)?.[1])
    if (Number.isNaN(status)) throw new BadAnswerError('the answer begins with no HTTP/1.1 status line')
    const head = new Head(lineEnd < 0 ? '' : text.slice(lineEnd + 2))
    if (status === 101) throw new BadAnswerError('the answer changes to a protocol that was not asked for')
    if (status < 200) return
    const { length, isChunked, isCoded, connection } = head
    if (isCoded && length !== undefined)
      throw new BadAnswerError('the answer has both a Content-Length and a Transfer-Encoding')
    this.#keepsAlive = statusLine.startsWith('HTTP/1.0')
      ? connection.includes('keep-alive')
      : !connection.includes('close')
    this.#idleSeconds = head.idleSeconds
    this.#sink?.onHead(status, head.headers)
    this.#left = length ?? 0
    if (status === 204 || status === 304 || length === 0) this.#finish(this.#keepsAlive)
    else this.#state = isChunked ? 'size' : length === undefined ? 'close' : 'length'
  }

  #readCounted(piece: Buffer): Buffer | undefined {
    const taken = Math.min(piece.length, this.#left)
    this.#left -= taken
    this.#sink?.onBody(taken === piece.length ? piece : piece.subarray(0, taken))
    if (this.#left === 0) {
      if (this.#state === 'chunk') this.#state = 'chunk_end'
      else this.#finish(this.#keepsAlive)
    }
    return taken === piece.length ? undefined : piece.subarray(taken)
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
    return end + 1 < piece.length ? piece.subarray(end + 1) : undefined
  }

  #finish(keepsAlive: boolean): void {
    this.#state = 'done'
    this.#keepsAlive = keepsAlive
    const sink = this.#sink
    this.#sink = undefined
    sink?.onEnd()
  }
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

/** The headers of an answer, and what they say of its length and of the connection. */
class Head {
  readonly headers: AnswerHeaders = Object.create(null)
  length: number | undefined
  connection = ''
  idleSeconds: number | undefined
  readonly #codings: string[] = []

  constructor(lines: string) {
    for (let from = 0; from < lines.length; ) {
      const end = lines.indexOf('\r\n', from)
      const to = end < 0 ? lines.length : end
      const colon = lines.indexOf(':', from)
      const name = lines.slice(from, colon)
      const value = lines.slice(colon + 1, to).trim()
      if (colon < 0 || colon > to || !NAME.test(name) || !VALUE.test(value))
        throw new BadAnswerError('the answer has a header that cannot be understood')
      this.#add(name.toLowerCase(), value)
      from = to + 2
    }
  }

  /** Where the last coding is another one, the answer ends with the connection. */
  get isChunked(): boolean {
    if (this.#codings.slice(0, -1).includes('chunked'))
      throw new BadAnswerError('the answer is chunked, and then coded again')
    return this.#codings.at(-1) === 'chunked'
  }

  get isCoded(): boolean {
    return this.#codings.length > 0
  }

  #add(name: string, value: string): void {
    const known = this.headers[name]
    this.headers[name] = known === undefined ? value : `${known}, ${value}`
    switch (name) {
      case 'content-length':
        this.#setLength(value)
        break
      case 'transfer-encoding':
        for (const coding of value.toLowerCase().split(',')) this.#codings.push(coding.trim())
        break
      case 'connection':
        this.connection += `${value.toLowerCase()},`
        break
      case 'keep-alive': {
        const [, seconds] = /timeout=(\d{1,9})/i.exec(value) ?? []
        if (seconds !== undefined) this.idleSeconds = Number(seconds)
        break
      }
      default:
    }
  }

  #setLength(value: string): void {
    const length = DIGITS.test(value) ? Number(value) : undefined
    if (length === undefined || (this.length !== undefined && this.length !== length))
      throw new BadAnswerError('the answer has no Content-Length that can be understood')
    this.length = length
  }
}

/** What came back is not an HTTP/1.1 answer, or not one that may be understood in two ways. */
export class BadAnswerError extends Error {
  override readonly name = 'BadAnswerError'
  readonly code = 'ERR_BAD_ANSWER'
}

/** What an answer says before its body, and what that means for the reading of it. */
export interface AnswerHead {
  readonly status: number
  /**
   * By name in lower case; the values of a name that comes several times are joined with a comma. As much as is kept of
   * an answer: cookies are for nobody here, and what a server adds without end is left out.
   */
  readonly headers: Readonly<Record<string, string>>
  /** How the end of the body is told: by its length, which may be 0, chunk by chunk, or by the connection's end. */
  readonly framing: 'length' | 'chunked' | 'close'
  /** Bytes of the body, where they tell its end. */
  readonly length: number
  /** Whether the connection may carry another answer. */
  readonly keepsAlive: boolean
  /** So long the server keeps an idle connection, by its own word. */
  readonly idleSeconds: number | undefined
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const NAME = /^[!#$%&'*+\-.^_`|~\w]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const DIGITS = /^\d{1,15}$/
const KEPT_HEADERS = 40
const KEPT_HEADER_CHARACTERS = 256

/**
 * @param text up to the empty line, a character for each byte
 * @throws BadAnswerError when it is no head, or may be understood in two ways
 */
export function parseAnswerHead(text: string): AnswerHead {
  const lineEnd = text.indexOf('\r\n')
  const statusLine = lineEnd < 0 ? text : text.slice(0, lineEnd)
  const status = Number(STATUS_LINE.exec(statusLine)?.[1])
  if (Number.isNaN(status)) throw new BadAnswerError('the answer begins with no HTTP/1.1 status line')
  const lines = new HeaderLines(lineEnd < 0 ? '' : text.slice(lineEnd + 2))
  const { length, connection, idleSeconds } = lines
  if (status >= 200 && lines.isCoded && length !== undefined)
    throw new BadAnswerError('the answer has both a Content-Length and a Transfer-Encoding')
  const keepsAlive = statusLine.startsWith('HTTP/1.0')
    ? connection.includes('keep-alive')
    : !connection.includes('close')
  const base = { status, headers: kept(lines.headers), keepsAlive, idleSeconds }
  if (status < 200 || status === 204 || status === 304) return { ...base, framing: 'length', length: 0 }
  if (lines.isChunked) return { ...base, framing: 'chunked', length: 0 }
  return length === undefined ? { ...base, framing: 'close', length: 0 } : { ...base, framing: 'length', length }
}

function kept(headers: Readonly<Record<string, string>>): Record<string, string> {
  const some = Object.entries(headers)
    .filter(([name]) => name !== 'set-cookie')
    .slice(0, KEPT_HEADERS)
    .map(([name, value]) => [name, value.slice(0, KEPT_HEADER_CHARACTERS)])
  // One head may stand for many answers.
  return Object.freeze(Object.fromEntries(some))
}

/** The headers of an answer, and what they say of its length and of the connection. */
class HeaderLines {
  readonly headers: Record<string, string> = Object.create(null)
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

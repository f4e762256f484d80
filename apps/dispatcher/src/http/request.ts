/** A request as it is written. */
export interface WrittenRequest {
  /** The request line and the headers, a character for each byte. */
  readonly head: string
  readonly body: string
  /** Whether each character of the body is a byte, as those of the head are: nearly always, and then one write is enough. */
  readonly isPlain: boolean
}

export interface RequestParts {
  readonly path: string
  readonly host: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** No character that would end a line, or that a header cannot carry. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const REQUEST_TARGET = /^\/[\x21-\x7e\x80-\xff]*$/

/**
 * A POST over a connection that is kept open (RFC 9112, sections 3 and 6).
 *
 * @throws TypeError when the path or a header cannot be sent
 */
export function createRequest({ path, host, headers, body }: RequestParts): WrittenRequest {
  if (!REQUEST_TARGET.test(path)) throw new TypeError(`the path ${JSON.stringify(path)} cannot be sent in a request`)
  const bytes = Buffer.byteLength(body)
  let head = `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${bytes}\r\n`
  for (const name in headers) {
    const value = headers[name] ?? ''
    if (!HEADER_VALUE.test(value)) throw new TypeError(`the header ${name} has a character that no header can carry`)
    head += `${name}: ${value}\r\n`
  }
  return { head: `${head}\r\n`, body, isPlain: bytes === body.length }
}

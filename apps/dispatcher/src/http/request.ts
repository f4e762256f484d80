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
  /** Further headers, each a line with its end; whoever makes them sees to it that no value has an end of its own. */
  readonly lines: string
  readonly body: string
}

/** No character that would end the line. */
const REQUEST_TARGET = /^\/[\x21-\x7e\x80-\xff]*$/

/**
 * A POST over a connection that is kept open (RFC 9112, sections 3 and 6).
 *
 * @throws TypeError when the path cannot be sent
 */
export function createRequest({ path, host, lines, body }: RequestParts): WrittenRequest {
  if (!REQUEST_TARGET.test(path)) throw new TypeError(`the path ${JSON.stringify(path)} cannot be sent in a request`)
  const bytes = Buffer.byteLength(body)
  const head = `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${bytes}\r\n${lines}\r\n`
  return { head, body, isPlain: bytes === body.length }
}

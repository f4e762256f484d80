import { once } from 'node:events'
import { request } from 'node:http'
import { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BadAnswerError } from '../src/http/answer-head.ts'
import { AnswerReader } from '../src/http/answer-reader.ts'

const MAX_HEAD_BYTES = 16_384

interface Read {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
  readonly keepsAlive: boolean
}

/** What comes of these pieces; undefined where the answer is not whole though the connection has ended. */
function read(
  pieces: readonly Buffer[],
  reader = new AnswerReader({ maxHeadBytes: MAX_HEAD_BYTES }),
): Read | undefined {
  let status = 0
  let headers: Record<string, string> = {}
  const body: Buffer[] = []
  let ends = 0
  reader.expect({
    onHead(head) {
      status = head.status
      headers = { ...head.headers }
    },
    onBody: (piece) => body.push(Buffer.from(piece)),
    onEnd: () => ends++,
  })
  for (const piece of pieces) {
    reader.read(piece)
    // As a socket that reads into the same memory again.
    piece.fill(0)
  }
  const keepsAlive = reader.isDone && reader.keepsAlive
  const isWhole = reader.close()
  expect(ends, 'the end is told once').toBe(isWhole ? 1 : 0)
  return isWhole ? { status, headers, body: Buffer.concat(body).toString('latin1'), keepsAlive } : undefined
}

const whole = (text: string) => [Buffer.from(text, 'latin1')]
const byteByByte = (text: string) => [...Buffer.from(text, 'latin1')].map((byte) => Buffer.from([byte]))

/** Cut at these places, wherever they lie. */
function cut(text: string, places: readonly number[]): Buffer[] {
  const all = Buffer.from(text, 'latin1')
  const at = [...new Set([0, ...places.map((place) => place % (all.length + 1)), all.length])].sort((a, b) => a - b)
  return at.slice(1).map((to, index) => Buffer.from(all.subarray(at[index], to)))
}

const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 300,
})
const pieces = fc.array(latin1, { maxLength: 5 })
const framing = fc.constantFrom('length', 'chunked', 'close')

function answerOf(status: number, body: readonly string[], how: string, extra = ''): string {
  const text = body.join('')
  const start = `HTTP/1.1 ${status} Some reason\r\nx-some: thing\r\n${extra}`
  if (how === 'length') return `${start}Content-Length: ${text.length}\r\n\r\n${text}`
  if (how === 'close') return `${start}\r\n${text}`
  const chunks = body
    .filter((chunk) => chunk !== '')
    .map((chunk) => `${chunk.length.toString(16)};ext="1"\r\n${chunk}\r\n`)
  return `${start}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\nx-trailer: yes\r\n\r\n`
}

describe('an answer', () => {
  it('is read as it was written, however it is framed and wherever it is cut', () => {
    const statuses = fc.constantFrom(200, 201, 404, 429, 500, 503)
    fc.assert(
      fc.property(statuses, pieces, framing, fc.array(fc.nat(), { maxLength: 12 }), (status, body, how, places) => {
        const text = `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${answerOf(status, body, how)}`
        const expected = { status, body: body.join(''), keepsAlive: how !== 'close' }
        expect(read(cut(text, places))).toMatchObject({ ...expected, headers: { 'x-some': 'thing' } })
        expect(read(byteByByte(text))).toMatchObject(expected)
      }),
      { numRuns: 300 },
    )
  })

  it('leaves nothing behind for the next one on the same connection', () => {
    const reader = new AnswerReader({ maxHeadBytes: MAX_HEAD_BYTES })
    const places = fc.array(fc.nat(), { maxLength: 6 })
    const kept = fc.constantFrom('length', 'chunked')
    fc.assert(
      fc.property(pieces, kept, places, (body, how, cuts) => {
        expect(read(cut(answerOf(200, body, how), cuts), reader)).toMatchObject({
          body: body.join(''),
          keepsAlive: true,
        })
      }),
      { numRuns: 200 },
    )
  })

  it('is understood by its own head, whether or not the one before had the same', () => {
    const reader = new AnswerReader({ maxHeadBytes: MAX_HEAD_BYTES })
    const some = fc.array(fc.constantFrom('a', 'b', 'HTTP/1.1 500 -\r\n\r\n'), { maxLength: 2 })
    const extra = fc.constantFrom('', 'x-more: 1\r\n', 'x-more: 2\r\n', 'Keep-Alive: timeout=7\r\n')
    const places = fc.array(fc.nat(), { maxLength: 1 })
    const heads = new Map<string, number>()
    fc.assert(
      fc.property(fc.constantFrom(200, 503), some, framing, extra, places, (status, body, how, more, cuts) => {
        const text = answerOf(status, body, how, more)
        const head = text.slice(0, text.indexOf('\r\n\r\n'))
        heads.set(head, (heads.get(head) ?? 0) + 1)
        expect(read(cut(text, cuts), reader)).toEqual(read(whole(text)))
      }),
      { numRuns: 1000 },
    )
    expect(heads.size).toBeGreaterThan(10)
    expect(Math.max(...heads.values()), 'the same head more than once').toBeGreaterThan(10)
  })

  it('without a body ends with its headers', () => {
    for (const status of [204, 304]) {
      const text = `HTTP/1.1 ${status} -\r\nContent-Length: 5\r\n\r\n`
      expect(read(whole(text))).toMatchObject({ status, body: '', keepsAlive: true })
    }
  })

  it('keeps forty headers of 256 characters and no cookie, and is read by all of them', () => {
    const many = Array.from({ length: 45 }, (_, index) => `x-${index}: ${'v'.repeat(300)}\r\n`).join('')
    const answer = read(whole(`HTTP/1.1 200 OK\r\nset-cookie: s=1\r\n${many}Content-Length: 2\r\n\r\nok`))
    expect(answer).toMatchObject({ body: 'ok', keepsAlive: true })
    expect(Object.keys(answer?.headers ?? {})).toEqual(Array.from({ length: 40 }, (_, index) => `x-${index}`))
    expect(new Set(Object.values(answer?.headers ?? {}))).toEqual(new Set(['v'.repeat(256)]))
  })

  it('has its values joined where a name comes several times', () => {
    const text = answerOf(200, ['x'], 'length', 'Link: a\r\nlink:  b \r\n')
    expect(read(whole(text))?.headers).toMatchObject({ link: 'a, b', 'content-length': '1' })
  })

  it('ends the connection where it says so, speaks HTTP/1.0, or brings more than was asked for', () => {
    expect(read(whole(answerOf(200, ['x'], 'length', 'Connection: Close\r\n')))).toMatchObject({ keepsAlive: false })
    expect(read(whole('HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx'))).toMatchObject({ keepsAlive: false })
    const asked = 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx'
    expect(read(whole(asked))).toMatchObject({ keepsAlive: true })
    expect(read(whole(`${answerOf(200, ['x'], 'length')}HTTP/1.1 500 -\r\n\r\n`))).toMatchObject({
      ...{ status: 200, body: 'x', keepsAlive: false },
    })
  })

  it('is not whole where the connection ends before it does', () => {
    for (const how of ['length', 'chunked']) {
      const text = answerOf(200, ['some', 'body'], how)
      for (let length = 0; length < text.length; length++) expect(read(whole(text.slice(0, length)))).toBeUndefined()
    }
    expect(read(whole('HTTP/1.1 200 OK\r\nx-some: thing\r\n'))).toBeUndefined()
  })

  it.each([
    ['something else', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['no status', 'HTTP/1.1 OK\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['lines that end otherwise', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\nx-some: thing\r\n\r\n'],
    ['a space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nx-some: thing\r\n more\r\n\r\n'],
    ['a line feed in a value', 'HTTP/1.1 200 OK\r\nx-some: a\nContent-Length: 1\r\n\r\nx'],
    ['a zero byte in a value', 'HTTP/1.1 200 OK\r\nx-some: a\0b\r\n\r\n'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx'],
    ['two lengths in one', 'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy'],
    [
      'a length and a coding',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    ],
    ['a coding upon chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n'],
    ['chunks of chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a chunk without a size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nx'],
    ['a negative chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx'],
    ['a chunk beyond all measure', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffff\r\nx'],
    [
      'a chunk that is longer than it says',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n',
    ],
    ['a size line without end', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(2000)}`],
    ['trailers without end', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'a: b\r\n'.repeat(5000)}`],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
    ['headers without end', `HTTP/1.1 200 OK\r\n${'x-pad: y\r\n'.repeat(3000)}`],
  ])('with %s is none', (_what, text) => {
    expect(() => read(whole(text))).toThrow(BadAnswerError)
    expect(() => read(byteByByte(text))).toThrow(BadAnswerError)
  })
})

/** What the HTTP client of Node, whose parser is another one, makes of the same bytes. */
async function readByNode(text: string): Promise<{ status: number; body: string } | undefined> {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const asking = request({ method: 'POST', createConnection: () => socket, host: 'x' })
  asking.on('error', () => {}).end('{}')
  try {
    const answered = once(asking, 'response', { signal: AbortSignal.timeout(2000) })
    socket.push(Buffer.from(text, 'latin1'))
    socket.push(null)
    const [response] = await answered
    const body = await buffer(response)
    return { status: response.statusCode, body: body.toString('latin1') }
  } catch {
    return undefined
  }
}

describe('what is wrong in an answer', () => {
  it('never makes another answer of it than another reader sees', async () => {
    let compared = 0
    const edits = fc.array(
      fc.record({
        at: fc.nat(),
        drop: fc.nat(3),
        add: fc.constantFrom('', '\r', '\n', '\r\n', ' ', '0', '1', ':', ',', 'a', '\0'),
      }),
      { minLength: 1, maxLength: 3 },
    )
    const body = fc.array(fc.constantFrom('a', 'bc', '0\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'), { maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(body, framing, edits, async (said, how, changes) => {
        let text = answerOf(200, said, how)
        for (const { at, drop, add } of changes) {
          const place = at % (text.length + 1)
          text = text.slice(0, place) + add + text.slice(place + drop)
        }
        let ours: Read | undefined
        try {
          ours = read(whole(text))
        } catch (error) {
          expect(error).toBeInstanceOf(BadAnswerError)
          return
        }
        if (!ours) return
        const theirs = await readByNode(text)
        if (!theirs) return
        compared++
        expect({ status: ours.status, body: ours.body }).toEqual(theirs)
      }),
      { numRuns: 1000 },
    )
    expect(compared).toBeGreaterThan(100)
  })
})

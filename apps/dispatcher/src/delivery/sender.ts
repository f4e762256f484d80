import { DELIVERY_LIMITS } from '@millrace/contracts'
import type { AttemptResult } from '@millrace/engine'
import { together } from '@millrace/runtime'
import type { AnswerHead } from '../http/answer-head.ts'
import type { Connection } from '../http/connection.ts'
import { type Caller, OriginConnections } from '../http/origin-connections.ts'
import { readingOf } from '../http/reading.ts'
import { createRequest, type WrittenRequest } from '../http/request.ts'
import type { OpenRanges } from '../targets/open-ranges.ts'
import { createTargetConnector, type Resolve } from '../targets/target-connector.ts'
import { Answer } from './answer.ts'
import { failureOf } from './send-failure.ts'

export interface SendRequest {
  /** Scheme, host and port. */
  readonly origin: string
  readonly path: string
  /** Where connections may go. */
  readonly ranges: OpenRanges
  /** The headers, as they are written. */
  readonly lines: string
  readonly body: string
  readonly timeoutMs: number
  /** Kept of the answer's body, instead of as much as a job's result may have. */
  readonly keptBodyBytes?: number
}

/** A request under way. */
export interface Sending {
  /** End it now, with this as its result; nothing when it has ended already. */
  end(result: AttemptResult): void
}

/** One that ended before anything was sent. */
export const ENDED: Sending = { end: () => undefined }

export interface Sender {
  /** `onAnswer` is called exactly once: what an endpoint does is a result. It may be called before this returns. */
  send(request: SendRequest, onAnswer: (result: AttemptResult) => void): Sending
  /** Close the connections to all others, once what is under way there has ended. */
  keepOnly(places: Iterable<Pick<SendRequest, 'origin' | 'ranges'>>): void
  close(): Promise<void>
}

/** Kept of an answer's body: as much as a job's result may have. */
const KEPT_BODY_BYTES = DELIVERY_LIMITS.keptAnswerBytes.value
/** Read of an answer's body at most; past that the connection is dropped and the status alone counts. */
const MAX_BODY_BYTES = DELIVERY_LIMITS.answerBytes.value
/** Of an answer's body, before they are put together. */
const MAX_PIECES = 128
/** An endpoint that cannot be reached should fail soon, not after the minute that a handler may take. */
const CONNECT_TIMEOUT_MS = DELIVERY_LIMITS.connectMs.value

/**
 * Sends deliveries over kept-alive connections, apart for each origin, and for each set of ranges that are open: a connection
 * which one namespace may open is none for the others. It follows no redirects, sends nothing twice, and writes a request in one
 * piece: half of a dispatcher's time went into a client that can do more (docs/performance.md).
 */
export function createSender({ resolve }: { resolve?: Resolve } = {}): Sender {
  const known = new Map<OpenRanges, Map<string, OriginConnections>>()
  const connectionsTo = ({ origin, ranges }: SendRequest) => {
    const found = known.get(ranges)?.get(origin)
    if (found) return found
    const made = new OriginConnections(origin, {
      connect: createTargetConnector(ranges, { timeoutMs: CONNECT_TIMEOUT_MS, onread: readingOf(origin), resolve }),
      maxHeadBytes: DELIVERY_LIMITS.answerHeaderBytes.value,
    })
    if (!known.has(ranges)) known.set(ranges, new Map())
    known.get(ranges)?.set(origin, made)
    return made
  }
  return {
    send: (request, onAnswer) => new Exchange(connectionsTo(request), request, onAnswer),
    keepOnly(places) {
      const kept = new Set([...places].map(({ origin, ranges }) => known.get(ranges)?.get(origin)))
      for (const ofRanges of known.values()) {
        for (const [origin, connections] of ofRanges) {
          if (kept.has(connections)) continue
          ofRanges.delete(origin)
          connections.close()
        }
      }
    },
    async close() {
      for (const ofRanges of known.values()) for (const connections of ofRanges.values()) connections.destroy()
    },
  }
}

/** Answers that come in the same turn of the event loop are read first and told then. */
const tellSoon = together<Exchange>(setImmediate, (exchange) => exchange.tell())

/** One exchange; it is answered exactly once, whatever the endpoint does. */
class Exchange implements Sending, Caller {
  readonly #onAnswer: (result: AttemptResult) => void
  readonly #connections: OriginConnections
  #request: WrittenRequest | undefined
  #connection: Connection | undefined
  readonly #timer: NodeJS.Timeout
  #ended = false
  #head: AnswerHead | undefined
  #kept: Buffer[] = []
  readonly #keptBytes: number
  #received = 0

  constructor(
    connections: OriginConnections,
    { path, lines, body, timeoutMs, keptBodyBytes = KEPT_BODY_BYTES }: SendRequest,
    onAnswer: (result: AttemptResult) => void,
  ) {
    this.#connections = connections
    this.#keptBytes = keptBodyBytes
    this.#onAnswer = onAnswer
    // The attempt's own deadline covers the whole exchange.
    this.#timer = setTimeout(endLate, timeoutMs, this, timeoutMs)
    try {
      this.#request = createRequest({ path, host: connections.host, lines, body })
      connections.call(this)
    } catch (error) {
      // A request that cannot even be made is a failed attempt like any other.
      this.#finish(failureOf(error, { started: false }))
    }
  }

  end(result: AttemptResult): void {
    this.#finish(result)
    this.#connection?.abandon()
  }

  onConnection(connection: Connection): void {
    // Given up while waiting for a connection: do not send what nobody waits for.
    if (this.#ended || !this.#request) {
      this.#connections.giveBack(connection)
      return
    }
    this.#connection = connection
    connection.send(this.#request, this)
  }

  onHead(head: AnswerHead): void {
    this.#head = head
  }

  onBody(piece: Buffer): void {
    if (this.#ended) return
    if (this.#received < this.#keptBytes) this.#keep(piece)
    this.#received += piece.length
    if (this.#received > Math.max(MAX_BODY_BYTES, this.#keptBytes)) this.end(this.#response())
  }

  /** The piece is only there until this returns. An answer that drips byte by byte would otherwise cost a hundred bytes for each. */
  #keep(piece: Buffer): void {
    this.#kept.push(Buffer.from(piece))
    if (this.#kept.length === MAX_PIECES) this.#kept = [Buffer.concat(this.#kept)]
  }

  onEnd(): void {
    this.#connection = undefined
    if (this.#ended) return
    this.#ended = true
    tellSoon(this)
  }

  /** Tell the answer, which is whole. */
  tell(): void {
    clearTimeout(this.#timer)
    this.#onAnswer(this.#response())
  }

  onError(error: Error): void {
    this.#connection = undefined
    this.#finish(failureOf(error, { started: this.#head !== undefined }))
  }

  /** The head comes before all that asks for this. */
  #response(): AttemptResult {
    return new Answer(this.#head as AnswerHead, this.#kept, { keptBytes: this.#keptBytes, received: this.#received })
  }

  #finish(result: AttemptResult): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
    this.#onAnswer(result)
  }
}

function endLate(exchange: Exchange, timeoutMs: number): void {
  exchange.end({ kind: 'failed', reason: 'timeout', error: `no complete answer within ${timeoutMs} ms` })
}

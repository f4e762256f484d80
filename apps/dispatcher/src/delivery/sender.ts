import { DELIVERY_LIMITS } from '@millrace/contracts'
import type { AttemptResult } from '@millrace/engine'
import { type Dispatcher, Pool } from 'undici'
import type { OpenRanges } from '../targets/open-ranges.ts'
import { createTargetConnector, type Resolve } from '../targets/target-connector.ts'
import { failureOf } from './send-failure.ts'

export interface SendRequest {
  /** Scheme, host and port. */
  readonly origin: string
  readonly path: string
  /** Where connections may go. */
  readonly ranges: OpenRanges
  readonly headers: Record<string, string>
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
const KEPT_HEADERS = 40
const KEPT_HEADER_CHARACTERS = 256
/** An endpoint that cannot be reached should fail soon, not after the minute that a handler may take. */
const CONNECT_TIMEOUT_MS = DELIVERY_LIMITS.connectMs.value

/**
 * Sends deliveries over kept-alive connections, one pool per origin, and for each set of ranges that are open: a connection
 * which one namespace may open is none for the others. It speaks undici's dispatch interface: at 45 µs a
 * request where `fetch` takes 270, it is the cheapest client there is, and it follows no redirects.
 */
export function createSender({ resolve }: { resolve?: Resolve } = {}): Sender {
  const pools = new Map<OpenRanges, Map<string, Pool>>()
  const poolOf = ({ origin, ranges }: SendRequest) => {
    const known = pools.get(ranges)?.get(origin)
    if (known) return known
    // The attempt's own deadline covers the whole exchange, so undici's per-phase timers are off.
    const pool = new Pool(origin, {
      connections: null,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: DELIVERY_LIMITS.answerHeaderBytes.value,
      connect: createTargetConnector(ranges, { timeoutMs: CONNECT_TIMEOUT_MS, resolve }),
    })
    if (!pools.has(ranges)) pools.set(ranges, new Map())
    pools.get(ranges)?.set(origin, pool)
    return pool
  }
  return {
    send: (request, onAnswer) => new Exchange(poolOf(request), request, onAnswer),
    keepOnly(places) {
      const kept = new Set([...places].map(({ origin, ranges }) => pools.get(ranges)?.get(origin)))
      for (const ofRanges of pools.values()) {
        for (const [origin, pool] of ofRanges) {
          if (kept.has(pool)) continue
          ofRanges.delete(origin)
          void pool.close()
        }
      }
    },
    async close() {
      const all = [...pools.values()].flatMap((ofRanges) => [...ofRanges.values()])
      await Promise.all(all.map((pool) => pool.destroy()))
    },
  }
}

/** One exchange; it is answered exactly once, whatever the endpoint does. */
class Exchange implements Sending, Dispatcher.DispatchHandler {
  readonly #onAnswer: (result: AttemptResult) => void
  #controller: Dispatcher.DispatchController | undefined
  #timer: NodeJS.Timeout
  #ended = false
  #status = 0
  #headers: Headers = {}
  #kept: Buffer[] = []
  readonly #keptBytes: number
  #received = 0

  constructor(
    pool: Pool,
    { path, headers, body, timeoutMs, keptBodyBytes = KEPT_BODY_BYTES }: SendRequest,
    onAnswer: (result: AttemptResult) => void,
  ) {
    this.#keptBytes = keptBodyBytes
    this.#onAnswer = onAnswer
    this.#timer = setTimeout(endLate, timeoutMs, this, timeoutMs)
    try {
      pool.dispatch({ method: 'POST', path, headers, body }, this)
    } catch (error) {
      // A request that cannot even be made is a failed attempt like any other.
      this.#finish(failureOf(error, { started: false }))
    }
  }

  end(result: AttemptResult): void {
    this.#finish(result)
    this.#controller?.abort(new Error('given up'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Given up while waiting for a connection: do not send what nobody waits for.
    if (this.#ended) controller.abort(new Error('given up'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.#status = status
    this.#headers = headers
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#received < this.#keptBytes) this.#keep(chunk)
    this.#received += chunk.length
    if (this.#received > Math.max(MAX_BODY_BYTES, this.#keptBytes)) this.end(this.#response())
  }

  /** An answer that drips byte by byte would otherwise cost a hundred bytes for each. */
  #keep(chunk: Buffer): void {
    this.#kept.push(chunk)
    if (this.#kept.length === MAX_PIECES) this.#kept = [Buffer.concat(this.#kept)]
  }

  onResponseEnd(): void {
    this.#finish(this.#response())
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish(failureOf(error, { started: this.#status !== 0 }))
  }

  #response(): AttemptResult {
    const kept = this.#kept
    const keptBytes = this.#keptBytes
    const raw = this.#headers
    let headers: Record<string, string> | undefined
    return {
      kind: 'response',
      status: this.#status,
      // Only a failure, a lease or a result looks at these two.
      get headers() {
        headers ??= keepHeaders(raw)
        return headers
      },
      get body() {
        return Buffer.concat(kept).toString('utf8', 0, keptBytes)
      },
      truncated: this.#received > keptBytes,
    }
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

type Headers = Record<string, string | string[] | undefined>

function keepHeaders(headers: Headers): Record<string, string> {
  const kept: Record<string, string> = {}
  let count = 0
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || name === 'set-cookie') continue
    if (++count > KEPT_HEADERS) break
    kept[name] = String(value).slice(0, KEPT_HEADER_CHARACTERS)
  }
  return kept
}

import type { AttemptResult } from '@millrace/engine'
import type { AnswerHead, AnswerHeaders } from '../http/answer-head.ts'

const KEPT_HEADERS = 40
const KEPT_HEADER_CHARACTERS = 256

type Response = AttemptResult & { readonly kind: 'response' }

/** A response. Most are asked for little but the status, so the rest is made when somebody asks. */
export class Answer implements Response {
  readonly kind = 'response'
  readonly status: number
  /** More of the body came than was kept. */
  readonly truncated: boolean
  readonly #headers: AnswerHeaders
  readonly #pieces: readonly Buffer[]
  readonly #keptBytes: number

  constructor(
    { status, headers }: AnswerHead,
    pieces: readonly Buffer[],
    { keptBytes, received }: { readonly keptBytes: number; readonly received: number },
  ) {
    this.status = status
    this.truncated = received > keptBytes
    this.#headers = headers
    this.#pieces = pieces
    this.#keptBytes = keptBytes
  }

  get headers(): AnswerHeaders {
    return keptHeaders(this.#headers)
  }

  get body(): string {
    return Buffer.concat(this.#pieces).toString('utf8', 0, this.#keptBytes)
  }
}

/** Most answers of an endpoint have the very headers of the one before. */
const keptOf = new WeakMap<AnswerHeaders, AnswerHeaders>()

function keptHeaders(headers: AnswerHeaders): AnswerHeaders {
  const known = keptOf.get(headers)
  if (known) return known
  const kept = Object.entries(headers)
    .filter(([name]) => name !== 'set-cookie')
    .slice(0, KEPT_HEADERS)
    .map(([name, value]) => [name, value.slice(0, KEPT_HEADER_CHARACTERS)])
  const made: AnswerHeaders = Object.fromEntries(kept)
  keptOf.set(headers, made)
  return made
}

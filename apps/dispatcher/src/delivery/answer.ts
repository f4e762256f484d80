import type { AttemptResult } from '@millrace/engine'
import type { AnswerHead } from '../http/answer-head.ts'

type ResponseResult = AttemptResult & { readonly kind: 'response' }

/** A response. Few are asked for their body, so it is put together when somebody asks. */
export class Answer implements ResponseResult {
  readonly kind = 'response'
  readonly status: number
  readonly headers: ResponseResult['headers']
  /** More of the body came than was kept. */
  readonly truncated: boolean
  readonly #pieces: readonly Buffer[]
  readonly #keptBytes: number

  constructor(
    { status, headers }: AnswerHead,
    pieces: readonly Buffer[],
    { keptBytes, received }: { readonly keptBytes: number; readonly received: number },
  ) {
    this.status = status
    this.truncated = received > keptBytes
    this.headers = headers
    this.#pieces = pieces
    this.#keptBytes = keptBytes
  }

  get body(): string {
    return Buffer.concat(this.#pieces).toString('utf8', 0, this.#keptBytes)
  }
}

import type { JobProgress } from '@millrace/contracts'
import type { ClaimedJob } from '@millrace/streams'

export type { JobProgress } from '@millrace/contracts'

/** One job in a handler's hands. */
export interface Job<Data = unknown> {
  /** The same in every attempt: the key to do something once under. */
  readonly id: string
  readonly queue: string
  /** What the producer sent. */
  readonly data: Data
  /** The same as JSON text, byte for byte: for numbers beyond 2^53 and signatures over the bytes. */
  readonly raw: string
  /** Counts from 1. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Rises with each delivery: a store that remembers it can refuse a consumer that was taken for dead. */
  readonly epoch: number
  /** Whose job it is, where the producer said so. */
  readonly key: string | undefined
  /** W3C trace context of the producer, if it sent one. */
  readonly traceparent: string | undefined
  /** Of an event that comes again: the id of its replay, or `moved` where its subscription was taken back. */
  readonly replay: string | undefined
  /** Aborted when the attempt is over before the handler is: timed out, cancelled, or in other hands. */
  readonly signal: AbortSignal
  /**
   * How far the job is, for people. Of what comes within a quarter of a second the last counts. Nothing is thrown when Redis
   * is away: `onError` hears of it.
   *
   * @throws MillraceError `sdk.invalid_input` when it is no progress.
   */
  progress(progress: JobProgress): Promise<void>
  /**
   * The attempt may take until so many ms from now, instead of `timeoutMs` from its start: longer, or less long. The job
   * stays this consumer's all the while, and goes to another when this one dies.
   *
   * @throws MillraceError `sdk.invalid_input` when it is not more than 0, or more than a day.
   */
  extend(ms: number): void
}

export interface JobContext {
  readonly queue: string
  readonly maxAttempts: number
  report(id: string, progress: JobProgress): Promise<void>
  extend(ms: number): void
}

/** A job as its handler sees it. What costs something is made when it is first asked for: most handlers ask for little. */
export class PulledJob implements Job {
  readonly #claimed: ClaimedJob
  readonly #context: JobContext
  #data: unknown
  #isParsed = false
  #abort: AbortController | undefined
  #reason: unknown

  constructor(claimed: ClaimedJob, context: JobContext) {
    this.#claimed = claimed
    this.#context = context
  }

  get id(): string {
    return this.#claimed.id
  }

  get queue(): string {
    return this.#context.queue
  }

  get data(): unknown {
    if (!this.#isParsed) {
      this.#data = JSON.parse(this.#claimed.data)
      this.#isParsed = true
    }
    return this.#data
  }

  get raw(): string {
    return this.#claimed.data
  }

  get attempt(): number {
    return this.#claimed.attempt
  }

  get maxAttempts(): number {
    return this.#context.maxAttempts
  }

  get epoch(): number {
    return this.#claimed.epoch
  }

  get key(): string | undefined {
    return this.#claimed.meta.key
  }

  get traceparent(): string | undefined {
    return this.#claimed.meta.traceparent
  }

  get replay(): string | undefined {
    return this.#claimed.meta.replay
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#reason !== undefined && !this.#abort.signal.aborted) this.#abort.abort(this.#reason)
    return this.#abort.signal
  }

  async progress(progress: JobProgress): Promise<void> {
    // Of an attempt that is over nobody wants to hear.
    if (this.#reason === undefined) await this.#context.report(this.id, progress)
  }

  extend(ms: number): void {
    this.#context.extend(ms)
  }

  /** The attempt is over, and the handler is to stop. */
  static abort(job: PulledJob, reason: Error): void {
    job.#reason = reason
    job.#abort?.abort(reason)
  }
}

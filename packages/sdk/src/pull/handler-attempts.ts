import { type JobProgress, type QueueDefinition, queueAddress } from '@millrace/contracts'
import type { Attempt, Attempted, AttemptMaker, EndReason } from '@millrace/delivery'
import { type HandlerFailure, judgeFailure, MAX_RESULT_CHARACTERS } from '@millrace/engine'
import type { ClaimedJob, Settlement } from '@millrace/streams'
import { MillraceError } from '../errors.ts'
import type { Deadlines, Timed } from './deadlines.ts'
import { type Job, type JobContext, PulledJob } from './job.ts'

/** Does the work of one job: what it returns is kept with the job, what it throws fails the attempt. */
export type Handler<Data = unknown> = (job: Job<Data>) => unknown

export interface HandlerAttemptsDeps {
  readonly handler: Handler
  /** Calls of the handler that may be under way at once in this process. */
  readonly concurrency: number
  readonly deadlines: Deadlines
  random(): number
  report(id: string, progress: JobProgress): Promise<void>
  /** A job succeeded and its result could not be kept. */
  onUnkeptResult(jobId: string, why: string): void
}

/** The attempts of a pulled queue: one call of the handler each. */
export function createHandlerAttempts(definition: QueueDefinition, deps: HandlerAttemptsDeps): AttemptMaker {
  return {
    definition,
    limit: Math.min(definition.concurrency, deps.concurrency),
    room: () => Number.POSITIVE_INFINITY,
    roomInMs: () => undefined,
    begin(job, onEnd) {
      const attempt = new HandlerAttempt(job, definition, deps, onEnd)
      attempt.run()
      return attempt
    },
  }
}

/** As much as a queue's `timeoutMs` may be. */
const MAX_EXTENSION_MS = 86_400_000

const ENDS: Readonly<Record<EndReason, string>> = {
  cancelled: 'the job was cancelled',
  lost: 'the job is in other hands: the lease was lost, or the consumer closed',
}

class HandlerAttempt implements Attempt, Timed, JobContext {
  readonly queue: string
  readonly maxAttempts: number
  deadline: number
  slot = 0
  readonly #claimed: ClaimedJob
  readonly #definition: QueueDefinition
  readonly #deps: HandlerAttemptsDeps
  readonly #job: PulledJob
  readonly #startedAt = performance.now()
  readonly #onEnd: (attempted: Attempted) => void
  #isOver = false

  constructor(
    claimed: ClaimedJob,
    definition: QueueDefinition,
    deps: HandlerAttemptsDeps,
    onEnd: (attempted: Attempted) => void,
  ) {
    const { retries = definition.retries, timeoutMs = definition.timeoutMs } = claimed.meta
    this.#claimed = claimed
    this.#definition = definition
    this.#deps = deps
    this.#onEnd = onEnd
    this.deadline = this.#startedAt + timeoutMs
    this.queue = queueAddress(definition.kind, definition.name)
    this.maxAttempts = retries + 1
    this.#job = new PulledJob(claimed, this)
  }

  run(): void {
    this.#deps.deadlines.add(this)
    try {
      const returned = this.#deps.handler(this.#job)
      if (isThenable(returned)) returned.then(this.#succeed, this.#throw)
      else this.#succeed(returned)
    } catch (error) {
      this.#throw(error)
    }
  }

  report(id: string, progress: JobProgress): Promise<void> {
    return this.#deps.report(id, progress)
  }

  extend(ms: number): void {
    if (!(ms > 0 && ms <= MAX_EXTENSION_MS)) {
      const message = `extend takes milliseconds, more than 0 and at most ${MAX_EXTENSION_MS}; got ${ms}`
      throw new MillraceError(message, { code: 'sdk.invalid_input' })
    }
    if (!this.#isOver) this.#deps.deadlines.move(this, performance.now() + ms)
  }

  end(why: EndReason): void {
    this.#giveUp({ reason: 'cancelled', error: ENDS[why] })
  }

  expire(): void {
    const timeoutMs = Math.round(this.deadline - this.#startedAt)
    this.#giveUp({ reason: 'timeout', error: `the handler did not end within ${timeoutMs} ms` })
  }

  /** It is over although the handler is not: the handler is told, and what it comes to is not asked for any more. */
  #giveUp(failure: HandlerFailure): void {
    if (this.#isOver) return
    this.#fail(failure)
    PulledJob.abort(
      this.#job,
      new DOMException(failure.error, failure.reason === 'timeout' ? 'TimeoutError' : 'AbortError'),
    )
  }

  readonly #succeed = (returned: unknown): void => {
    if (this.#isOver) return
    const result = returned === undefined ? undefined : this.#toResult(returned)
    this.#finish({
      kind: 'succeeded',
      // There was no answer over HTTP, and so there is no status.
      status: 0,
      durationMs: this.#durationMs(),
      ...(result !== undefined && { result }),
    })
  }

  readonly #throw = (error: unknown): void => {
    if (!this.#isOver) this.#fail(toFailure(error))
  }

  #fail(failure: HandlerFailure): void {
    const { meta, attempt } = this.#claimed
    const { retries, retryDelayMs, backoff } = this.#definition
    const policy = {
      retries: meta.retries ?? retries,
      retryDelayMs: meta.retryDelayMs ?? retryDelayMs,
      backoff: meta.backoff ?? backoff,
    }
    const outcome = judgeFailure(failure, { attempt, policy, random: this.#deps.random() })
    const { reason, lastResponse } = outcome
    const failed = { reason, lastResponse, durationMs: this.#durationMs() }
    this.#finish(
      'delayMs' in outcome
        ? { kind: outcome.kind, delayMs: outcome.delayMs, ...failed }
        : { kind: outcome.kind, ...failed },
    )
  }

  #finish(settlement: Settlement): void {
    this.#isOver = true
    this.#deps.deadlines.delete(this)
    this.#onEnd({ settlement })
  }

  #durationMs(): number {
    return Math.round(performance.now() - this.#startedAt)
  }

  /** The work is done, so a result that cannot be kept fails nothing: it would be done again. */
  #toResult(returned: unknown): string | undefined {
    const refuse = (why: string) => {
      this.#deps.onUnkeptResult(this.#claimed.id, why)
      return undefined
    }
    try {
      const text = JSON.stringify(returned) as string | undefined
      if (text !== undefined && text.length > MAX_RESULT_CHARACTERS)
        return refuse(`it has ${text.length} characters of JSON, the limit is ${MAX_RESULT_CHARACTERS}`)
      return text
    } catch (error) {
      return refuse(`it cannot be written as JSON: ${String(error)}`)
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

/** What a handler threw. Classes are known by their fields, so that a second copy of this package means the same. */
function toFailure(thrown: unknown): HandlerFailure {
  const error = describe(thrown)
  if (typeof thrown !== 'object' || thrown === null) return { reason: 'worker_failed', error }
  const { noRetry, name, delayMs, counts } = thrown as Record<string, unknown>
  if (noRetry === true) return { reason: 'no_retry', error }
  // What is no time to wait would be none for the store either.
  if (name !== 'RetryAfter' || typeof delayMs !== 'number' || !(delayMs >= 0)) return { reason: 'worker_failed', error }
  return { reason: 'worker_failed', error, retryAfterMs: delayMs, counts: counts !== false }
}

function describe(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return thrown.stack ?? `${thrown.name}: ${thrown.message}`
    return typeof thrown === 'string' ? thrown : (JSON.stringify(thrown) ?? String(thrown))
  } catch {
    return 'something was thrown that cannot be written down'
  }
}

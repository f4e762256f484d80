import type { EmitResult } from './audit-events.ts'
import { type Backoff, backoffMs } from './backoff.ts'
import { isTransient, MillraceError } from './errors.ts'
import { createLimiter, type Limiter } from './limiter.ts'

/**
 * Holds emits from the call until the audit service has accepted them.
 *
 * An emit waits, is sent, and either is accepted, or waits for a retry, or is given up: when the service refuses it for
 * good, or when it has not been accepted by its deadline. Events of one entity are sent one after the other, because
 * the order in which they arrive is the order of the entity's chain; different entities do not wait for each other.
 * The buffer lives in memory: what it still holds when the process dies is lost, which is why there is `flush`.
 */
export interface EmitBufferOptions {
  readonly maxBuffered: number
  readonly maxInFlight: number
  readonly giveUpAfterMs: number
  readonly backoff: Backoff
}

export interface FlushResult {
  /** How many emits were still not accepted when the time was up. */
  readonly pending: number
}

interface PendingEmit {
  readonly send: () => Promise<EmitResult>
  readonly giveUpAtMs: number
  readonly resolve: (result: EmitResult) => void
  readonly reject: (error: MillraceError) => void
}

// While a flush waits the process is about to end. Seconds of backoff, or of a Retry-After, would be lost events.
const FLUSH_BACKOFF_MS = 200

export class EmitBuffer {
  readonly #options: EmitBufferOptions
  readonly #limit: Limiter
  readonly #lanes = new Map<string, PendingEmit[]>()
  readonly #sleepers = new Set<() => void>()
  readonly #emptyWaiters = new Set<() => void>()
  #size = 0
  #flushes = 0

  constructor(options: EmitBufferOptions) {
    this.#options = options
    this.#limit = createLimiter(options.maxInFlight)
  }

  /** `send` is called until it succeeds, so it must be one that can be repeated. */
  add(entityId: string, send: () => Promise<EmitResult>): Promise<EmitResult> {
    const { maxBuffered, giveUpAfterMs } = this.#options
    if (this.#size >= maxBuffered) {
      // The new one is refused, not the oldest dropped: what was taken stays taken, and the caller hears of it now.
      const message = `${maxBuffered} emits already wait for the audit service; this one was not taken`
      return Promise.reject(new MillraceError(message, { code: 'sdk.buffer_full' }))
    }
    this.#size++
    return new Promise((resolve, reject) => {
      const emit = { send, giveUpAtMs: performance.now() + giveUpAfterMs, resolve, reject }
      const lane = this.#lanes.get(entityId)
      if (lane) lane.push(emit)
      else void this.#drain(entityId, [emit])
    })
  }

  /** Retries at once and often, and resolves when nothing is left or the time is up. Never rejects. */
  async flush(timeoutMs: number): Promise<FlushResult> {
    this.#flushes++
    for (const wake of this.#sleepers) wake()
    await this.#untilEmpty(timeoutMs)
    this.#flushes--
    return { pending: this.#size }
  }

  async #drain(entityId: string, lane: PendingEmit[]): Promise<void> {
    this.#lanes.set(entityId, lane)
    for (let emit = lane[0]; emit; emit = lane[0]) {
      await this.#deliver(emit)
      lane.shift()
      this.#size--
    }
    this.#lanes.delete(entityId)
    if (this.#size === 0) for (const wake of this.#emptyWaiters) wake()
  }

  async #deliver(emit: PendingEmit): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        emit.resolve(await this.#limit(emit.send))
        return
      } catch (error) {
        const failure = error as MillraceError
        const leftMs = emit.giveUpAtMs - performance.now()
        if (!isTransient(failure) || leftMs <= 0) {
          emit.reject(failure)
          return
        }
        // Never past the deadline, so the last try happens at the deadline and not long before it.
        await this.#pause(Math.min(this.#waitMs(attempt, failure), leftMs))
      }
    }
  }

  #waitMs(attempt: number, { retryAfterMs = 0 }: MillraceError): number {
    const waitMs = Math.max(retryAfterMs, backoffMs(attempt, this.#options.backoff))
    return this.#flushes > 0 ? Math.min(FLUSH_BACKOFF_MS, waitMs) : waitMs
  }

  /** The timers keep the process alive on purpose: a script that ends after an emit ends when the emit is settled. */
  #pause(ms: number): Promise<void> {
    return wakeable(this.#sleepers, ms)
  }

  #untilEmpty(timeoutMs: number): Promise<void> {
    return this.#size === 0 ? Promise.resolve() : wakeable(this.#emptyWaiters, timeoutMs)
  }
}

/** Resolves after `ms`, or as soon as the function that it puts into `wakers` is called. */
function wakeable(wakers: Set<() => void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer)
      wakers.delete(wake)
      resolve()
    }
    const timer = setTimeout(wake, ms)
    wakers.add(wake)
  })
}

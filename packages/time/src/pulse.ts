export interface PulseOptions {
  /** What the duty does, to stand behind "has not": `ticked`. */
  readonly done: string
  /** It comes round more often than this, so a longer silence says that it cannot. Without it only failures count. */
  readonly everyMs?: number
  /** Failures in a row for so long say that it cannot; a hiccup does not. */
  readonly failingForMs: number
  /** Milliseconds of a clock that nobody sets. */
  now?(): number
}

/**
 * Whether a background duty comes round, for `/readyz`: the duty tells, and who asks gets an answer at once, without a
 * query of its own that could be slow for other reasons.
 */
export class Pulse {
  readonly #options: PulseOptions
  readonly #now: () => number
  #doneAt: number
  #failing: { readonly since: number; readonly error: unknown } | undefined

  constructor(options: PulseOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#doneAt = this.#now()
  }

  /** It came round. */
  beat(): void {
    this.#doneAt = this.#now()
    this.#failing = undefined
  }

  fail(error: unknown): void {
    this.#failing = { since: this.#failing?.since ?? this.#now(), error }
  }

  /** Why the duty cannot be done, undefined when it can. */
  problem(): string | undefined {
    const { done, everyMs = Number.POSITIVE_INFINITY, failingForMs } = this.#options
    const silentMs = this.#now() - this.#doneAt
    const failing = this.#failing
    if (failing && this.#now() - failing.since >= failingForMs)
      return `has not ${done} for ${seconds(silentMs)}: ${messageOf(failing.error)}`
    return silentMs > everyMs ? `has not ${done} for ${seconds(silentMs)}` : undefined
  }
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

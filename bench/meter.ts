import type { Figure } from './measure.ts'
import { processorMicros } from './processor-time.ts'

/** What to measure: after `skip` jobs, in which everything gets warm, the next `count`. */
export interface MeterOptions {
  readonly skip: number
  readonly count: number
  /** Whose processor time to read, by name. */
  readonly pids: Readonly<Record<string, number>>
}

/** What was seen between the two ends of the measured part. */
export interface Metered {
  readonly jobs: number
  readonly spanMs: number
  readonly processorMicros: Readonly<Record<string, number>>
}

/**
 * Counts jobs in the process that sees them, and reads clock and processor times at both ends of the measured part: so
 * neither starting up nor the last jobs, which leave slots empty, are in it.
 */
export class Meter {
  readonly done: Promise<Metered>
  readonly #options: MeterOptions
  #resolve: (metered: Metered) => void = () => undefined
  #seen = 0
  #start: { seen: number; atMs: number; micros: Record<string, number> } | undefined
  #ended = false

  constructor(options: MeterOptions) {
    this.#options = options
    this.done = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** So many jobs came. */
  count(jobs = 1): void {
    this.#seen += jobs
    if (this.#ended || this.#seen < this.#options.skip) return
    if (!this.#start) this.#start = { seen: this.#seen, atMs: performance.now(), micros: this.#micros() }
    else if (this.#seen >= this.#start.seen + this.#options.count) this.#end(this.#start)
  }

  /** That was all: for who cannot say when so many have come. */
  finish(): void {
    if (!this.#start) throw new Error(`nothing was measured: all ${this.#seen} came at once`)
    if (!this.#ended) this.#end(this.#start)
  }

  #end({ seen, atMs, micros }: { seen: number; atMs: number; micros: Record<string, number> }): void {
    this.#ended = true
    const spanMs = performance.now() - atMs
    const now = this.#micros()
    const spent = Object.keys(micros).map((name) => [name, (now[name] ?? 0) - (micros[name] ?? 0)])
    this.#resolve({ jobs: this.#seen - seen, spanMs, processorMicros: Object.fromEntries(spent) })
  }

  #micros(): Record<string, number> {
    const read = Object.entries(this.#options.pids).map(([name, pid]) => [name, processorMicros(pid)] as const)
    return Object.fromEntries(read.filter((each): each is [string, number] => each[1] !== undefined))
  }
}

/** Jobs per second, and processor time per job. */
export function rateOf({ jobs, spanMs, processorMicros }: Metered): Figure {
  const perJob = Object.entries(processorMicros).map(([name, micros]) => [name, micros / jobs])
  return { value: (jobs / spanMs) * 1000, processorMicros: Object.fromEntries(perJob) }
}

import type { ClaimedJob } from '@millrace/streams'

interface Prefetched {
  readonly job: ClaimedJob
  readonly sinceMs: number
}

/**
 * What one term of this process has of a queue beside the attempts under way: jobs that are prefetched, and how many attempts
 * may begin. That number is counted in Redis by the words of the term: each settle and claim says how many jobs are prefetched now,
 * and whatever else is in hand under its name counts as under way. So an attempt may begin where a claim has let it, or
 * in the place of one that ended and is not settled yet; what is free when the next word goes out is given back by it.
 */
export class Hand {
  readonly #prefetched: Prefetched[] = []
  #starts = 0
  /** Attempts that the claim under way may let begin. */
  #asked = 0
  #isKnown = false

  get prefetched(): number {
    return this.#prefetched.length
  }

  /** Since when the oldest of them is here, as `performance.now()` tells it. */
  get sinceMs(): number | undefined {
    return this.#prefetched[0]?.sinceMs
  }

  /** Jobs came, and so many attempts may begin: at these, and before them at those that came before. */
  add(jobs: readonly ClaimedJob[], starts: number): void {
    const sinceMs = performance.now()
    for (const job of jobs) this.#prefetched.push({ job, sinceMs })
    this.#starts += starts
  }

  /** An attempt ended: in its place another one may begin. */
  ended(): void {
    this.#starts++
  }

  /** The next job whose attempt may begin now. */
  next(): ClaimedJob | undefined {
    const next = this.#starts > 0 ? this.#prefetched.shift() : undefined
    if (next) this.#starts--
    return next?.job
  }

  /**
   * How many are prefetched, to be said to Redis; undefined where it has heard of none, and there are none. While a claim is
   * under way, it may have let attempts begin at some of them, of which nothing is known here yet: those are left out.
   */
  say(): number | undefined {
    this.#starts = 0
    const said = Math.max(0, this.prefetched - this.#asked)
    if (said === 0 && !this.#isKnown) return undefined
    this.#isKnown = said > 0 || this.#asked > 0
    return said
  }

  /** A claim goes out: how many are prefetched, to be said by it. What it makes of that is for the next settle to put right. */
  ask(want: number, prefetch: number): number {
    const wasKnown = this.#isKnown
    const said = this.say() ?? 0
    this.#asked = Math.max(0, want)
    this.#isKnown = wasKnown || prefetch > 0
    return said
  }

  /** The claim was answered, or never will be. */
  answered(): void {
    this.#asked = 0
  }

  /** Redis may have heard of some, by a word whose answer was lost or by a takeover. */
  mayBeKnown(): void {
    this.#isKnown = true
  }

  /** Take a prefetched job out again. */
  remove(jobId: string): ClaimedJob | undefined {
    const index = this.#prefetched.findIndex(({ job }) => job.id === jobId)
    return index < 0 ? undefined : this.#prefetched.splice(index, 1)[0]?.job
  }

  removeAll(): ClaimedJob[] {
    return this.#prefetched.splice(0).map(({ job }) => job)
  }
}

import type { ClaimedJob } from '@millrace/streams'

/**
 * What one term of this process has of a queue beside the attempts under way: jobs that are prefetched, and how many attempts
 * may begin. That number is counted in Redis by the words of the term: each settle and claim says how many jobs are prefetched now,
 * and whatever else is pending under its name counts as under way. So an attempt may begin where a claim has let it, or
 * in the place of one that ended and is not settled yet; what is free when the next word goes out is given back by it.
 */
export class Hand {
  readonly #prefetched: ClaimedJob[] = []
  #starts = 0
  #isKnown = false

  get prefetched(): number {
    return this.#prefetched.length
  }

  /** Jobs came, and so many attempts may begin: at these, and before them at those that came before. */
  add(jobs: readonly ClaimedJob[], starts: number): void {
    this.#prefetched.push(...jobs)
    this.#starts += starts
  }

  /** An attempt ended: in its place another one may begin. */
  ended(): void {
    this.#starts++
  }

  /** The next job whose attempt may begin now. */
  next(): ClaimedJob | undefined {
    const job = this.#starts > 0 ? this.#prefetched.shift() : undefined
    if (job) this.#starts--
    return job
  }

  /** How many are prefetched, to be said to Redis; undefined where it has heard of none, and there are none. */
  say(): number | undefined {
    this.#starts = 0
    const { prefetched } = this
    if (prefetched === 0 && !this.#isKnown) return undefined
    this.#isKnown = prefetched > 0
    return prefetched
  }

  /** A claim is sent that may leave jobs prefetched. */
  mayBeKnown(): void {
    this.#isKnown = true
  }

  /** Take a prefetched job out again. */
  remove(jobId: string): ClaimedJob | undefined {
    const index = this.#prefetched.findIndex(({ id }) => id === jobId)
    return index < 0 ? undefined : this.#prefetched.splice(index, 1)[0]
  }

  removeAll(): ClaimedJob[] {
    return this.#prefetched.splice(0)
  }
}

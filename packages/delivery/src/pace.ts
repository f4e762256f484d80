/** Jobs that begin within so many turns are claimed ahead, as turns of this queue go now: one that takes long finds work left.
 * With five instead of three the rate was no higher (docs/decisions/0134). */
const AHEAD_TURNS = 3
/** And within so many ms at least: how long turns take is seen late, and a pause of the processor is no turn. */
const LEAST_AHEAD_MS = 5
/** And at most, whatever turns take: what is prefetched waits for one process. */
const MOST_AHEAD_MS = 25
/** Over so many ms it is counted how fast attempts end. */
const COUNTED_MS = 5

/** How fast attempts end and how long turns take, and how many jobs that makes worth claiming ahead. */
export class Pace {
  readonly #now: () => number
  #ended = 0
  #sinceMs: number
  #perMs = 0
  #turnMs = 0

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#sinceMs = now()
  }

  ended(): void {
    this.#ended++
  }

  /** A turn took so long. A longer one counts at once, a shorter one by and by. */
  turned(ms: number): void {
    const turnMs = Math.max(ms, this.#turnMs + (ms - this.#turnMs) / 8)
    // Else one that waited for a Redis that was away would be remembered for dozens of turns.
    this.#turnMs = Math.min(turnMs, MOST_AHEAD_MS / AHEAD_TURNS)
  }

  /** Jobs that will begin within the next few turns: none where attempts take long. */
  ahead(): number {
    const nowMs = this.#now()
    const elapsedMs = nowMs - this.#sinceMs
    if (elapsedMs >= COUNTED_MS) {
      this.#perMs = this.#ended / elapsedMs
      this.#ended = 0
      this.#sinceMs = nowMs
    }
    return Math.floor(this.#perMs * Math.max(AHEAD_TURNS * this.#turnMs, LEAST_AHEAD_MS))
  }
}

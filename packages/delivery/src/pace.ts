/** Jobs that begin within so many ms are claimed ahead: a few times what a turn takes, so that one that takes long finds work left. */
const AHEAD_MS = 5

/** How fast attempts end, and how many jobs that makes worth claiming ahead. */
export class Pace {
  #ended = 0
  #sinceMs = performance.now()
  #perMs = 0

  ended(): void {
    this.#ended++
  }

  /** Jobs that will begin within the next few ms: none where attempts take long. */
  ahead(): number {
    const nowMs = performance.now()
    const elapsedMs = nowMs - this.#sinceMs
    if (elapsedMs >= AHEAD_MS) {
      this.#perMs = this.#ended / elapsedMs
      this.#ended = 0
      this.#sinceMs = nowMs
    }
    return Math.floor(this.#perMs * AHEAD_MS)
  }
}

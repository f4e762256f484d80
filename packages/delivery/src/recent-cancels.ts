/** An answer is on its way for moments, and few jobs are cancelled in them. */
const MAX_REMEMBERED = 100

/**
 * Cancelled jobs that were not under way here when it was said. Another has them, or the message overtook the answer that brings
 * them, which comes on another connection.
 */
export class RecentCancels {
  readonly #ids = new Set<string>()

  add(id: string): void {
    this.#ids.add(id)
    const [oldest] = this.#ids
    if (this.#ids.size > MAX_REMEMBERED && oldest !== undefined) this.#ids.delete(oldest)
  }

  /** Whether this job was cancelled; asked once. */
  take(id: string): boolean {
    return this.#ids.size > 0 && this.#ids.delete(id)
  }
}

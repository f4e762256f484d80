// More than two nights of a large tree. What is forgotten is audited again, which costs a second event and no harm.
const MAX_REMEMBERED = 20_000

/**
 * Which jobs, and which packages of which run, are done: at-least-once delivery may bring both again. In memory, so a
 * restart forgets it; a service whose work must not be done twice keeps this in its database, beside the work itself.
 */
export class FinishedAudits {
  readonly #keys = new Set<string>()

  has(jobId: string, { run, path }: { readonly run: string; readonly path: string }): boolean {
    return this.#keys.has(jobId) || this.#keys.has(packageKey(run, path))
  }

  add(jobId: string, { run, path }: { readonly run: string; readonly path: string }): void {
    this.#keys.add(jobId).add(packageKey(run, path))
    // A set keeps the order of insertion, so the first keys are the oldest.
    for (const key of this.#keys) {
      if (this.#keys.size <= MAX_REMEMBERED) break
      this.#keys.delete(key)
    }
  }
}

function packageKey(run: string, path: string): string {
  return `${run} ${path}`
}

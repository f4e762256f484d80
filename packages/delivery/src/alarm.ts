/** Calls once after a while. One timer is enough: whoever is called early looks again and sets the next. */
export class Alarm {
  readonly #call: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(call: () => void) {
    this.#call = call
  }

  /** Set it, unless it is set. */
  in(ms: number): void {
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined
        this.#call()
      },
      Math.max(1, ms),
    ).unref()
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}

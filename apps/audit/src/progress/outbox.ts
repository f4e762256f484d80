import type { StreamMessage } from '@millrace/runtime'

/** One message of a progress stream; its `id` is the position in the log up to which it tells. */
export interface ProgressMessage extends StreamMessage {
  readonly kind: 'state' | 'progress' | 'end'
}

/**
 * What a client is still to be told: under each name the newest, so that one that reads slowly costs no memory and hears
 * what counts.
 */
export class Outbox {
  readonly #messages = new Map<string, ProgressMessage>()
  readonly #limit: number
  #wake: () => void = () => undefined

  /** Beyond `limit` names the oldest message is forgotten. */
  constructor(limit: number) {
    this.#limit = limit
  }

  put(name: string, message: ProgressMessage): void {
    this.#messages.delete(name)
    this.#messages.set(name, message)
    if (this.#messages.size > this.#limit) this.#messages.delete(this.#messages.keys().next().value as string)
    this.#wake()
  }

  clear(): void {
    this.#messages.clear()
  }

  /** Messages as they come, until one of the signals fires. */
  async *messages(...over: readonly AbortSignal[]): AsyncGenerator<ProgressMessage> {
    while (!over.some(({ aborted }) => aborted)) {
      for (const [name, message] of [...this.#messages]) {
        // A newer one may have taken its place while the one before was sent.
        if (this.#messages.get(name) !== message) continue
        this.#messages.delete(name)
        yield message
      }
      if (this.#messages.size === 0) await this.#news(over)
    }
  }

  #news(over: readonly AbortSignal[]): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        for (const signal of over) signal.removeEventListener('abort', done)
        resolve()
      }
      this.#wake = done
      for (const signal of over) signal.addEventListener('abort', done, { once: true })
      if (over.some(({ aborted }) => aborted)) done()
    })
  }
}

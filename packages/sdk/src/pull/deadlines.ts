import { Slots } from '@millrace/delivery'

/** Something that must be over by a time, in ms of `performance.now()`. */
export interface Timed {
  deadline: number
  /** Where it stands among the others, as long as it does. */
  slot: number
  expire(): void
}

/**
 * Deadlines of many things with one timer: most attempts end long before theirs, and setting a timer for each would cost
 * more than all else that is done for a job here. The timer is set for the earliest deadline that was known when it was set;
 * when it fires, whatever is due expires, and it is set for the earliest of the rest.
 */
export class Deadlines {
  readonly #timed = new Slots<Timed>()
  #timer: NodeJS.Timeout | undefined
  #firesAt = Number.POSITIVE_INFINITY

  add(timed: Timed): void {
    timed.slot = this.#timed.add(timed)
    if (timed.deadline < this.#firesAt) this.#set(timed.deadline)
  }

  /** Earlier or later than it was. */
  move(timed: Timed, deadline: number): void {
    timed.deadline = deadline
    if (deadline < this.#firesAt) this.#set(deadline)
  }

  delete(timed: Timed): void {
    this.#timed.remove(timed.slot)
  }

  #set(at: number): void {
    clearTimeout(this.#timer)
    this.#firesAt = at
    this.#timer = setTimeout(() => this.#fire(), Math.max(1, Math.ceil(at - performance.now()))).unref()
  }

  #fire(): void {
    const now = performance.now()
    this.#firesAt = Number.POSITIVE_INFINITY
    let earliest = Number.POSITIVE_INFINITY
    for (const timed of this.#timed.values()) {
      if (timed.deadline <= now) {
        // Whose attempt it is takes it out, as at any other end.
        timed.expire()
      } else if (timed.deadline < earliest) earliest = timed.deadline
    }
    if (earliest < this.#firesAt) this.#set(earliest)
  }
}

/**
 * Tells whoever waits for an event or a job that the recorder has just written it. A signal only spares waiting: the
 * waiter looks into the store itself, before and after, because another process may be the one that records.
 */
export interface Signals {
  /** Resolves when the key is announced, when the time is over, or when `abort` fires. */
  wait(key: string, options: { timeoutMs: number; abort?: AbortSignal }): Promise<void>
  /** The keys are asked for only when somebody waits. */
  announce(keys: () => Iterable<string>): void
}

export function createSignals(): Signals {
  const waiting = new Map<string, Set<() => void>>()

  const join = (key: string, wake: () => void) => {
    const others = waiting.get(key) ?? new Set()
    waiting.set(key, others.add(wake))
    return () => {
      others.delete(wake)
      if (others.size === 0 && waiting.get(key) === others) waiting.delete(key)
    }
  }

  return {
    wait: (key, { timeoutMs, abort }) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer)
          abort?.removeEventListener('abort', done)
          leave()
          resolve()
        }
        const timer = setTimeout(done, timeoutMs)
        const leave = join(key, done)
        abort?.addEventListener('abort', done, { once: true })
        if (abort?.aborted) done()
      }),
    announce(keys) {
      if (waiting.size === 0) return
      for (const key of keys()) for (const wake of waiting.get(key) ?? []) wake()
    },
  }
}

export interface WaitFor<T> {
  readonly key: string
  readonly timeoutMs: number
  readonly abort?: AbortSignal
  /** Looks into the store; undefined means not there yet. */
  look(): Promise<T | undefined>
}

/** How long a waiter goes without looking by itself, for records that another process writes. */
const LOOK_AGAIN_MS = 100

/** A database that does not answer must not keep the one who waits for longer than this beyond the time given. */
const LAST_LOOK_MS = 500

/** Look, wait for the signal, look again, until it is there or the time is over. */
export async function waitFor<T>(
  signals: Signals,
  { key, timeoutMs, abort, look }: WaitFor<T>,
): Promise<T | undefined> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const pauseMs = Math.min(LOOK_AGAIN_MS, deadline - performance.now())
    // Listening starts before the look: what is written between the two would be missed otherwise.
    const signal = signals.wait(key, { timeoutMs: Math.max(0, pauseMs), abort })
    const leftMs = Math.max(0, deadline - performance.now())
    const found = await within(look(), leftMs + LAST_LOOK_MS)
    if (found !== undefined || pauseMs <= 0 || abort?.aborted) return found
    await signal
  }
}

/** What it resolves with; undefined when that takes longer than `ms`. */
function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(resolve, ms, undefined)
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

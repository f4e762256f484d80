export type Limiter = <T>(task: () => Promise<T>) => Promise<T>

/** Runs at most `max` tasks at a time, the others in the order in which they came. */
export function createLimiter(max: number): Limiter {
  const waiting: (() => void)[] = []
  let running = 0

  return async (task) => {
    // A finished task hands its place straight to the next one, so `running` does not change between the two.
    if (running === max) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}

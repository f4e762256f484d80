import { setTimeout as sleep } from 'node:timers/promises'

export interface EventuallyOptions {
  readonly timeoutMs?: number
  /** Between two looks; 10 ms at first and 50 after a second unless told. */
  readonly intervalMs?: number
  /** What is being waited for, as it should stand in the error: "the queue is empty". */
  readonly what?: string
}

/**
 * Polls `check` until it returns without throwing and returns neither `false` nor `undefined`; resolves with what it
 * returned. The one way for a test to wait: a fixed sleep is either too short on a busy machine or too long on all others.
 *
 * @throws Error after `timeoutMs` (60 s unless told: it only matters when something is wrong, or the machine is busy), naming `what`, with the last error of `check` as its cause.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false | undefined>> {
  const { timeoutMs = 60_000, what = 'the condition to hold' } = options
  const startedAt = performance.now()
  const deadline = startedAt + timeoutMs
  for (;;) {
    const result = await attempt(check)
    if (result.kind === 'holds') return result.value
    // The clock is read after the check, so a slow check still gets one complete run.
    if (performance.now() >= deadline) throw timedOut(what, timeoutMs, result)
    await sleep(options.intervalMs ?? pauseAfter(performance.now() - startedAt))
  }
}

/** What was waited for longer is asked for less often: a hundred requests a second are a good part of a busy processor. */
function pauseAfter(waitedMs: number): number {
  return Math.min(Math.max(waitedMs / 20, 10), 50)
}

type Attempt<T> =
  | { readonly kind: 'holds'; readonly value: Exclude<T, false | undefined> }
  | { readonly kind: 'returned'; readonly value: T }
  | { readonly kind: 'threw'; readonly error: unknown }

async function attempt<T>(check: () => T | Promise<T>): Promise<Attempt<T>> {
  try {
    const value = await check()
    if (value === false || value === undefined) return { kind: 'returned', value }
    return { kind: 'holds', value: value as Exclude<T, false | undefined> }
  } catch (error) {
    return { kind: 'threw', error }
  }
}

function timedOut<T>(what: string, timeoutMs: number, last: Exclude<Attempt<T>, { kind: 'holds' }>): Error {
  const start = `Waited ${timeoutMs} ms for ${what}`
  if (last.kind === 'returned') return new Error(`${start}; the last check returned ${String(last.value)}.`)
  const message = last.error instanceof Error ? last.error.message : String(last.error)
  return new Error(`${start}; the last check threw: ${message}`, { cause: last.error })
}

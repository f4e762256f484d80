import { setTimeout as delay } from 'node:timers/promises'
import { untilBeat } from './beat.ts'

export interface LoopOptions {
  readonly name: string
  /** The pause after each run; a run may shorten it by returning the ms until the next one. One of 500 ms and more ends on a beat, up to half of it earlier. */
  readonly intervalMs: number
  run(signal: AbortSignal): Promise<number | undefined>
  onError(error: unknown): void
}

export interface Loop {
  /** Run again now rather than after the pause; during a run, once more after it. */
  poke(): void
  /** Resolves when the run under way, if any, has ended. Stopping twice is fine. */
  stop(): Promise<void>
}

/** A background duty: run, pause, run again, until stopped. An error is reported and waits one pause, it never ends the loop. */
export function startLoop({ intervalMs, run, onError }: LoopOptions): Loop {
  const stopping = new AbortController()
  let wake = new AbortController()
  let poked = false

  const turn = async (): Promise<number> => {
    try {
      return (await run(stopping.signal)) ?? intervalMs
    } catch (error) {
      if (!stopping.signal.aborted) onError(error)
      return intervalMs
    }
  }
  const ended = (async () => {
    while (!stopping.signal.aborted) {
      poked = false
      const pauseMs = await turn()
      if (poked || stopping.signal.aborted) continue
      wake = new AbortController()
      await delay(untilBeat(Math.min(pauseMs, intervalMs), performance.now()), undefined, {
        signal: wake.signal,
      }).catch(() => undefined)
    }
  })()

  const poke = () => {
    poked = true
    wake.abort()
  }
  return {
    poke,
    stop() {
      stopping.abort()
      poke()
      return ended
    },
  }
}

import { type Loop, startLoop } from './loop.ts'

export interface StepsOptions<Place> {
  readonly name: string
  /** Where the work lies; each is advanced by one process at a time. */
  readonly places: readonly Place[]
  /** How soon work is noticed that was begun by another process, or left by one that died. */
  readonly sweepMs: number
  /** What is to be advanced there, by id. */
  running(place: Place): Promise<readonly string[]>
  /** Who advances a place, so that one process does. */
  readonly lease: {
    /** Take it or renew it; false while another process has it. */
    take(place: Place): Promise<boolean>
    letGo(place: Place): Promise<void>
  }
  /** One step. Resolves with the ms until the next is worth trying; 0 = now. */
  step(place: Place, id: string): Promise<number>
  onError(error: unknown): void
}

/** Steps of one piece of work before the next one has its turn. */
const STEPS_IN_TURN = 20

/**
 * Advance work that lies in a store, step by step, until stopped: several pieces in each place take turns.
 *
 * The lease only spares work. A step has to be a compare-and-set that carries what it does, so that two processes, or one that
 * died at any point and one that goes on, never do it twice.
 */
export function startSteps<Place>({ name, places, sweepMs, running, lease, step, onError }: StepsOptions<Place>): Loop {
  const takeTurn = async (place: Place, id: string, signal: AbortSignal): Promise<number> => {
    for (let steps = 0; steps < STEPS_IN_TURN && !signal.aborted; steps++) {
      const waitMs = await step(place, id)
      if (waitMs > 0) return waitMs
    }
    return 0
  }
  const advance = async (place: Place, signal: AbortSignal): Promise<number> => {
    const ids = await running(place)
    if (ids.length === 0 || !(await lease.take(place))) return sweepMs
    const waits = [sweepMs]
    for (const id of ids) waits.push(await orLater(takeTurn(place, id, signal)))
    return Math.min(...waits)
  }
  /** What fails is tried again by the next sweep, and keeps nothing else from going on. */
  const orLater = (turn: Promise<number>) =>
    turn.catch((error) => {
      onError(error)
      return sweepMs
    })
  const loop = startLoop({
    name,
    intervalMs: sweepMs,
    onError,
    run: async (signal) => Math.min(...(await Promise.all(places.map((place) => orLater(advance(place, signal)))))),
  })
  return {
    poke: loop.poke,
    async stop() {
      await loop.stop()
      await Promise.all(places.map((place) => lease.letGo(place))).catch(onError)
    },
  }
}

import { setTimeout as delay } from 'node:timers/promises'
import { type Clock, type Logger, type Loop, startLoop } from '@millrace/runtime'
import { hold, type Partition } from '@millrace/streams'

/**
 * A duty that one audit process at a time has: the holder of its lease runs it, now and then, gently. The lease spares
 * the others the work; two at once would do no harm, for all that changes goes through the log.
 */
export interface Duty {
  readonly name: string
  /** Where its lease is. */
  readonly partition: Partition
  readonly holder: string
  readonly clock: Clock
  readonly logger: Logger
  readonly everyMs: number
  run(turn: Turn): Promise<void>
  /** Another process has it now. */
  onLost?(): void
}

export interface Turn {
  readonly abort: AbortSignal
  /** To be waited for between pieces of the work: lets others work, and keeps the lease. Throws when it is over. */
  pause(): Promise<void>
}

const LEASE_TTL_MS = 15_000
const RENEW_AFTER_MS = 3000
/** Looked at so often whether it is time, and whose duty it is. */
const LOOK_EVERY_MS = 5000
/** A piece of work is followed by three times its length of rest: a quarter of one core at most. */
const REST = 3

class LostDuty extends Error {
  override readonly name = 'LostDuty'
}

export function startDuty({ name, partition, holder, clock, logger, everyMs, run, onLost }: Duty): Loop {
  let nextAtMs = 0
  const isOurs = async () => (await hold(partition, { name, holder, ttlMs: LEASE_TTL_MS })).kind === 'held'
  const loop = startLoop({
    name,
    intervalMs: Math.min(LOOK_EVERY_MS, everyMs),
    onError(error) {
      if (error instanceof LostDuty) onLost?.()
      else logger.warn({ event: 'duty.failed', duty: name, err: error }, 'it is tried again')
    },
    async run(abort) {
      if (!(await isOurs())) {
        onLost?.()
        return undefined
      }
      if (clock.now() < nextAtMs) return undefined
      await run({ abort, pause: pacer(abort, isOurs, clock) })
      nextAtMs = clock.now() + everyMs
      return undefined
    },
  })
  return {
    poke: loop.poke,
    async stop() {
      await loop.stop()
      await hold(partition, { name, holder, ttlMs: 0 }).catch(() => undefined)
    },
  }
}

function pacer(abort: AbortSignal, isOurs: () => Promise<boolean>, clock: Clock): Turn['pause'] {
  let since = performance.now()
  let renewedAt = clock.now()
  return async () => {
    if (clock.now() - renewedAt > RENEW_AFTER_MS) {
      if (!(await isOurs())) throw new LostDuty('Another process has the duty now.')
      renewedAt = clock.now()
    }
    await delay(REST * (performance.now() - since), undefined, { signal: abort })
    since = performance.now()
  }
}

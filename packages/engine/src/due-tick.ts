import { type CronRule, nextNominalTime } from './cron.ts'

/** A scheduler that was down longer than this does not fire what it missed; it records it. */
export const CATCH_UP_WINDOW_MS = 600_000

/** Missed times are counted one by one up to here; beyond, the count says "at least". */
const MAX_COUNTED = 10_000

export interface TickDecision {
  /** The nominal time to fire now, undefined when all that is due is too old. */
  readonly fireMs?: number
  readonly missed?: { readonly count: number; readonly fromMs: number; readonly toMs: number }
  readonly nextMs?: number
}

/**
 * What to do about a due tick: of all nominal times from the planned one until now, the latest fires if it is at most
 * ten minutes old; the others are recorded as missed. So a deploy or a crash costs no nightly run, and a scheduler that
 * was down for a day does not fire a hundred times at once.
 */
export function decideTick(rule: CronRule, { plannedMs, nowMs }: { plannedMs: number; nowMs: number }): TickDecision {
  const due = [plannedMs]
  let next = nextNominalTime(rule, plannedMs)
  while (next !== undefined && next <= nowMs && due.length < MAX_COUNTED) {
    due.push(next)
    next = nextNominalTime(rule, next)
  }
  if (next !== undefined && next <= nowMs) next = nextNominalTime(rule, nowMs)
  const latest = due.at(-1) as number
  const fires = nowMs - latest <= CATCH_UP_WINDOW_MS
  const missed = fires ? due.slice(0, -1) : due
  return {
    ...(fires && { fireMs: latest }),
    ...(missed.length > 0 && {
      missed: { count: missed.length, fromMs: missed[0] as number, toMs: missed.at(-1) as number },
    }),
    ...(next !== undefined && { nextMs: next }),
  }
}

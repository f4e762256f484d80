/** So many a second at most, for what goes on by itself over a long time: redrives and backfills. */
export interface Pace {
  readonly ratePerSecond: number
  /** Not before this time by the store's clock; 0 at the beginning. */
  readonly nextAtMs: number
}

/** What a stall may make up for: no more than a second's worth goes out at once. */
const BURST_MS = 1000
/** Looking more often would not make a rate any smoother that anybody could see. */
const MIN_WAIT_MS = 50

/** How many may go now, or how long to wait. */
export function allowedNow(
  { ratePerSecond, nextAtMs }: Pace,
  nowMs: number,
): { readonly kind: 'go'; readonly atMost: number } | { readonly kind: 'wait'; readonly ms: number } {
  if (nextAtMs > nowMs) return { kind: 'wait', ms: Math.max(nextAtMs - nowMs, MIN_WAIT_MS) }
  const saved = (nowMs - paceFrom(nextAtMs, nowMs)) * (ratePerSecond / 1000)
  return { kind: 'go', atMost: Math.floor(saved) + 1 }
}

/** The `nextAtMs` after so many went. */
export function nextAllowed(
  { ratePerSecond, nextAtMs }: Pace,
  { taken, nowMs }: { taken: number; nowMs: number },
): number {
  return paceFrom(nextAtMs, nowMs) + (taken * 1000) / ratePerSecond
}

/** From when on the rate counts: a stall is made up for by a second at most, a beginning by nothing. */
function paceFrom(nextAtMs: number, nowMs: number): number {
  return nextAtMs === 0 ? nowMs : Math.max(nextAtMs, nowMs - BURST_MS)
}

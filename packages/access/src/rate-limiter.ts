/** What a request leaves of a quota. */
export interface Quota {
  readonly isSpent: boolean
  readonly remaining: number
  /** Until the quota is whole again. */
  readonly resetSeconds: number
}

/** Counts requests by whoever sends them. */
export interface RateLimiter {
  /** How the quota is called and what it is, as `RateLimit-Policy` says it. */
  readonly policy: string
  readonly name: string
  /** Count one request of somebody. */
  take(who: string): Quota
}

const WINDOW_MS = 60_000
/** More who ask than an installation has in a minute; beyond it the oldest begin anew. About 150 bytes each. */
const MAX_COUNTED = 10_000

interface Window {
  endsAt: number
  used: number
}

/**
 * So many requests a minute for each who asks, from their first one on. Counted in this process alone: over all of them in
 * Redis it would cost each request a round trip, as much as the request itself.
 */
export function createRateLimiter(
  name: string,
  { perMinute, now }: { perMinute: number; now: () => number },
): RateLimiter {
  const windows = new Map<string, Window>()
  const windowOf = (who: string, nowMs: number): Window => {
    const known = windows.get(who)
    if (known && known.endsAt > nowMs) return known
    const window = { endsAt: nowMs + WINDOW_MS, used: 0 }
    // Taken out first, so that the oldest is always in front.
    windows.delete(who)
    windows.set(who, window)
    if (windows.size > MAX_COUNTED) windows.delete(windows.keys().next().value as string)
    return window
  }
  return {
    name,
    policy: `"${name}";q=${perMinute};w=${WINDOW_MS / 1000}`,
    take(who) {
      const nowMs = now()
      const window = windowOf(who, nowMs)
      const isSpent = window.used >= perMinute
      if (!isSpent) window.used++
      return {
        isSpent,
        remaining: perMinute - window.used,
        resetSeconds: Math.max(1, Math.ceil((window.endsAt - nowMs) / 1000)),
      }
    },
  }
}

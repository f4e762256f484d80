export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

/**
 * How long to wait after the given failed attempt (from 1): twice as long each time up to `maxMs`, and of that a random
 * part between a half and the whole. The half keeps a retry from following at once; the random part keeps the replicas
 * of a service, which all saw the same outage begin, from coming back in step.
 */
export function backoffMs(attempt: number, { baseMs, maxMs }: Backoff, random: () => number = Math.random): number {
  const fullMs = Math.min(maxMs, baseMs * 2 ** (attempt - 1))
  return fullMs * (0.5 + random() / 2)
}

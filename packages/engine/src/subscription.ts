import {
  type Backoff,
  comparePositions,
  type ManifestSubscription,
  ProblemError,
  parseId,
  parsePosition,
  type QueueDefinition,
} from '@millrace/contracts'
import { compileFilters, type Matches } from './filter/filters.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** The waits that Standard Webhooks 1.0.0 recommends, behind a first attempt at once. */
export const STANDARD_WEBHOOKS_DELAYS_MS: readonly number[] = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
]
const STANDARD_BACKOFF: Backoff = {
  type: 'list',
  delaysMs: [...STANDARD_WEBHOOKS_DELAYS_MS],
  factor: 2,
  maxDelayMs: 24 * HOUR,
  jitter: 0.2,
}
const EXPONENTIAL_BACKOFF: Backoff = { type: 'exponential', factor: 2, maxDelayMs: 900_000, jitter: 0.2 }

/** The queue of a subscription. Where it begins is not known yet: that is found out when it is applied. */
export function subscriptionQueue({
  types,
  source,
  filters,
  startFrom,
  retries,
  retryDelayMs,
  backoff,
  ...delivery
}: ManifestSubscription): QueueDefinition {
  return {
    kind: 'subscription',
    ...delivery,
    retries: retries ?? STANDARD_WEBHOOKS_DELAYS_MS.length,
    retryDelayMs: retryDelayMs ?? 5 * SECOND,
    // Who names a delay wants it to be the first one, not to be passed over for the schedule.
    backoff: backoff ?? (retryDelayMs === undefined ? STANDARD_BACKOFF : EXPONENTIAL_BACKOFF),
    subscription: { types, ...(source !== undefined && { source }), filters, startFrom, since: 0, starts: {} },
  }
}

/** Asks for nothing but a type. */
export const MATCHES_ALL: Matches = () => true

/** Whether an event is one that a subscription asks for, besides its type. */
export function matcherOf({ source, filters }: { source?: string | undefined; filters: readonly unknown[] }): Matches {
  if (source === undefined && filters.length === 0) return MATCHES_ALL
  const compiled = compileFilters(filters)
  // A filter that an earlier version accepted and this one does not know matches nothing rather than everything.
  const matches = compiled.kind === 'compiled' ? compiled.matches : () => false
  if (source === undefined) return matches
  return (event) => event.source === source && matches(event)
}

/** Positions in the logs by partition number. */
export type Positions = Readonly<Record<string, string>>

const BEGINNING = '0-0'
const LAST_SEQUENCE = Number.MAX_SAFE_INTEGER

/**
 * Behind which position of each log reading begins. `ends` are the positions that the logs have now; they also say which
 * partitions there are. An id and a time are included.
 *
 * @throws ProblemError, with the pointer given, for an id that no event has: its digits would be read as a time, and one that
 *   was mistyped may lie centuries ahead.
 */
export function startPositions(startFrom: string, ends: Positions, pointer: string): Positions {
  if (startFrom === 'now') return ends
  if (startFrom === 'earliest') return all(ends, () => BEGINNING)
  const id = parseId(startFrom)
  if (id) {
    const { ms, seq } = id
    const end = ends[String(id.partition)]
    if (end === undefined || comparePositions(`${ms}-${seq}`, end) > 0) throw noEvent(startFrom, pointer)
    const before = seq > 0 ? `${ms}-${seq - 1}` : beforeTime(ms)
    return all(ends, (partition) => (partition === String(id.partition) ? before : beforeTime(ms)))
  }
  return all(ends, () => beforeTime(Date.parse(startFrom)))
}

function noEvent(id: string, pointer: string): ProblemError {
  const detail = `"${id}" is the id of no event that was published; GET /events and POST /events name those that were`
  return new ProblemError('request.invalid', `${pointer} ${detail}.`, { errors: [{ pointer, detail }] })
}

/** The position behind which an entry has the time given, or a later one. */
export function beforeTime(ms: number): string {
  return ms <= 0 ? BEGINNING : `${ms - 1}-${LAST_SEQUENCE}`
}

function all(ends: Positions, position: (partition: string) => string): Positions {
  return Object.fromEntries(Object.keys(ends).map((partition) => [partition, position(partition)]))
}

/** The time of a position, ms. */
export function timeOf(position: string): number {
  return parsePosition(position).ms
}

/**
 * Whether a namespace may hear of what the platform states about another one. Everybody hears of their own. A grant is a
 * reader and whom it may read, `*` for all: `{ops: ['*']}`.
 */
export function mayHear(
  reader: string,
  namespace: string,
  grants: Readonly<Record<string, readonly string[]>>,
): boolean {
  if (reader === namespace) return true
  // A service may be called `constructor`.
  const granted = Object.hasOwn(grants, reader) ? (grants[reader] ?? []) : []
  return granted.includes('*') || granted.includes(namespace)
}

export interface Retention {
  /** How long an event stays for a subscription that is behind, ms. */
  readonly maxAgeMs: number
  /** How much memory a log may take before subscriptions that are behind are taken ahead; 0 for no limit. */
  readonly maxBytes: number
}

/**
 * The position that no subscription may be behind: older than the age allowed, or in the part of the log that is above the
 * memory allowed. That part is estimated by time, as if the log had grown evenly.
 */
export function retentionCutoff(
  { first, last, bytes }: { first: string; last: string; bytes: number },
  { maxAgeMs, maxBytes }: Retention,
  nowMs: number,
): string {
  const byAge = nowMs - maxAgeMs
  const share = maxBytes > 0 && bytes > maxBytes ? 1 - maxBytes / bytes : 0
  const bySize = share === 0 ? 0 : timeOf(first) + (timeOf(last) - timeOf(first)) * share
  return beforeTime(Math.max(0, Math.floor(byAge), Math.floor(bySize)))
}

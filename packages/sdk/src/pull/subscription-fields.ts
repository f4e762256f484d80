/** A filter in a dialect of the CloudEvents Subscriptions API; of several in a list all must match. */
export type EventFilterDialect =
  | { readonly exact: Readonly<Record<string, string>> }
  | { readonly prefix: Readonly<Record<string, string>> }
  | { readonly suffix: Readonly<Record<string, string>> }
  | { readonly all: readonly EventFilterDialect[] }
  | { readonly any: readonly EventFilterDialect[] }
  | { readonly not: EventFilterDialect }
  | { readonly sql: string }

/** Starts in a period: `limit` of them, with room for `burst` at once after a pause. */
export interface StartRate {
  readonly limit: number
  /** 1,000 ms unless told. */
  readonly periodMs?: number
  readonly burst?: number
}

/** How the wait before a retry grows: `retryDelayMs × factor^(n−1)`, capped, or a list of waits. */
export interface RetryBackoff {
  readonly type?: 'exponential' | 'linear' | 'fixed' | 'list'
  readonly delaysMs?: readonly number[]
  readonly factor?: number
  readonly maxDelayMs?: number
  readonly jitter?: number
}

/**
 * What a subscription is, for all who consume it: the fields of `spec.subscriptions[]` but `name`, `endpoint`, `delivery` and `onStatus`.
 */
export interface SubscriptionFields {
  /** Any one of them: a type, all below one (`order.*`), `*` for all that services publish. All of these unless told. */
  readonly types?: readonly string[]
  /** Exactly. */
  readonly source?: string
  /** All of them. */
  readonly filters?: readonly EventFilterDialect[]
  /** `now` unless told, `earliest`, a time, or the id of an event, which is then the first. Only while it is new. */
  readonly startFrom?: string
  /** Handlers at once over all processes; 5 unless told. */
  readonly concurrency?: number
  /** With 1, events of one `partitionkey`, else `subject`, come one after the other, in their order. */
  readonly keyConcurrency?: number
  /** With `keyConcurrency: 1`: whether a dead letter lets the next of its key go on; `skip` unless told. */
  readonly onDead?: 'skip' | 'block'
  readonly rateLimit?: StartRate
  readonly keyRateLimit?: StartRate
  /** Without `retries` and `backoff`: at once, then after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h. */
  readonly retries?: number
  readonly retryDelayMs?: number
  readonly backoff?: RetryBackoff
  /** How long a handler may take before the attempt failed; 30,000 ms unless told. */
  readonly timeoutMs?: number
  readonly description?: string
}

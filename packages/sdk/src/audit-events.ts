/** What `emit` gets besides the event type. */
export interface EmitDetails {
  /** What or whom the event is about. The events of one entity form one hash chain. */
  readonly entityId: string
  /** Any JSON value. It is read when `emit` is called; changing the object later changes nothing. */
  readonly data?: unknown
  readonly metadata: { readonly who: string; readonly why?: string }
}

export interface EmitResult {
  readonly success: true
  readonly data: {
    readonly eventId: string
    /** Absent when the event was accepted but not yet chained, as while the audit database is down. */
    readonly eventHash?: string
    /** Absent with `eventHash`. The first event of an entity has 0. */
    readonly chainIndex?: number
  }
}

/** One audit record: who, what, when, where, how, why and its hash. */
export interface AuditEvent {
  readonly eventId: string
  readonly namespace: string
  readonly entityId: string
  readonly eventType: string
  readonly chainIndex: number
  readonly createdAt: string
  readonly metadata: { readonly who: string; readonly why?: string }
  readonly where: Readonly<Record<string, string>>
  readonly how: Readonly<Record<string, string>>
  readonly data: unknown
  readonly dataHash: string
  readonly previousHash: string
  readonly eventHash: string
}

export interface EventFilter {
  readonly entityId?: string
  /** Exact, or with `*` for anything: `policy.*`, `*.created`. */
  readonly eventType?: string
  readonly who?: string
  /** A string is RFC 3339. */
  readonly since?: Date | string
  readonly until?: Date | string
  /** A member of the payload, such as `customer.id`; goes together with `equals`. */
  readonly field?: string
  readonly equals?: string | number | boolean
  /** Words that all stand somewhere in the payload, large or small. */
  readonly text?: string
  readonly limit?: number | string
  /** The cursor of the page before. */
  readonly cursor?: string
}

export interface QueryResult {
  readonly success: true
  readonly data: {
    readonly events: readonly AuditEvent[]
    /** There may be more, also when this page has none. */
    readonly cursor?: string
  }
}

export interface CountResult {
  readonly success: true
  readonly data: {
    readonly count: number
    /** False when there were more events than are looked through at once: narrow it by time. */
    readonly complete: boolean
    /** How many events of the other filters were looked through for `field` and `text`. */
    readonly lookedAt: number
  }
}

/** What was found of a chain. */
export interface ChainVerdict {
  /** `unverifiable`: nothing shows tampering, but something that is needed to be sure is not there. */
  readonly verdict: 'intact' | 'tampered' | 'unverifiable'
  /** The verdict is `intact`. */
  readonly valid: boolean
  readonly totalEvents: number
  /** Of these, whose payload was erased, as a record says. */
  readonly erased: number
  /** The first bad index of the chain. */
  readonly brokenAt?: number
  /** The record there, where it could be read. */
  readonly eventId?: string
  /** What does not fit: record, chain, copy, payload, head or trail. */
  readonly level?: string
  readonly reason?: string
}

export interface VerifyResult {
  readonly success: true
  readonly data: ChainVerdict
}

export interface ChainResult {
  readonly success: true
  readonly data: ChainVerdict & { readonly chain: readonly AuditEvent[] }
}

/** The tables as Kysely sees them; the migrations are what makes them. */
export interface RecordRow {
  readonly event_id: string
  readonly partition: number
  readonly seq: number
  readonly namespace: string
  readonly entity_id: string
  readonly chain_index: number
  readonly kind: string
  readonly event_type: string
  readonly who: string
  readonly when_ms: number
  readonly record: string
  readonly event_hash: string
  readonly salt: string | null
  readonly data: string | null
  /** The event that tells of their erasure. */
  readonly erased_by: string | null
}

export interface HeadRow {
  readonly namespace: string
  readonly entity_id: string
  readonly length: number
  readonly hash: string
}

export interface CursorRow {
  readonly partition: number
  readonly position: string
  readonly entries_read: number
  readonly seq: number
}

export interface JobRow {
  readonly id: string
  readonly namespace: string
  readonly queue: string
  readonly kind: string
  readonly state: string
  readonly attempts: number
  readonly enqueued_at_ms: number
  readonly updated_at_ms: number
  readonly finished_at_ms: number | null
  readonly next_attempt_at_ms: number | null
  readonly reason: string | null
}

export interface HoldRow {
  readonly id: string
  readonly namespace: string
  /** Null: every entity of the namespace. */
  readonly entity_id: string | null
  readonly who: string
  readonly why: string
  readonly placed_at_ms: number
  readonly released_at_ms: number | null
}

export interface AuditDatabase {
  readonly records: RecordRow
  readonly heads: HeadRow
  readonly cursors: CursorRow
  readonly jobs: JobRow
  readonly holds: HoldRow
}

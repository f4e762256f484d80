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
  readonly ready_at_ms: number | null
  readonly started_at_ms: number | null
  readonly status: number | null
  readonly discarded_at_ms: number | null
}

export interface AttemptRow {
  readonly job_id: string
  readonly epoch: number
  readonly namespace: string
  readonly queue: string
  readonly attempt: number
  readonly consumer: string | null
  readonly outcome: string
  readonly started_at_ms: number
  readonly finished_at_ms: number | null
  readonly duration_ms: number | null
  readonly status: number | null
  readonly reason: string | null
}

export interface ScheduleRow {
  readonly namespace: string
  readonly name: string
  readonly rule: string | null
  readonly tz: string | null
  readonly next_at_ms: number | null
  readonly paused_at_ms: number | null
  readonly paused_by: string | null
  readonly last_fired_at_ms: number | null
  readonly fired: number
  readonly skipped: number
  readonly missed: number
  readonly removed_at_ms: number | null
  readonly updated_at_ms: number
}

export interface TickRow {
  readonly namespace: string
  readonly schedule: string
  readonly id: string
  readonly kind: string
  readonly state: string
  readonly reason: string | null
  readonly at_ms: number
  readonly until_ms: number | null
  readonly count: number
  readonly late_ms: number | null
  readonly fired_at_ms: number | null
  readonly job_id: string | null
  readonly gas: number | null
}

export interface SubscriptionRow {
  readonly namespace: string
  readonly name: string
  readonly events: number
  readonly last_event_at_ms: number | null
  readonly losses: number
  readonly lost_at_ms: number | null
  readonly moved_at_ms: number | null
  readonly moved_by: string | null
  readonly replay_id: string | null
  readonly replay_state: string | null
  readonly replayed: number | null
  readonly updated_at_ms: number
}

export interface GasRow {
  readonly namespace: string
  readonly day: string
  readonly schedule: string
  readonly tokens: number
  readonly ticks: number
}

export interface QueueStatsRow {
  readonly namespace: string
  readonly queue: string
  readonly resolution: string
  readonly start_ms: number
  readonly enqueued: number
  readonly started: number
  readonly succeeded: number
  readonly failed: number
  readonly postponed: number
  readonly dead: number
  readonly cancelled: number
  readonly expired: number
  readonly wait_ms: number
  readonly max_wait_ms: number
  readonly run_ms: number
  readonly max_run_ms: number
}

export interface ReadModelRow {
  readonly name: string
  readonly version: number
  readonly built_at_ms: number
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
  readonly attempts: AttemptRow
  readonly schedules: ScheduleRow
  readonly ticks: TickRow
  readonly subscriptions: SubscriptionRow
  readonly gas: GasRow
  readonly queue_stats: QueueStatsRow
  readonly read_models: ReadModelRow
}

/**
 * The events that the platform itself writes to the log, past tense, complete, never edited.
 *
 * `kind` keeps our facts apart from what services say: a service may emit an audit event named `job.succeeded`, and no
 * projection takes it for ours.
 */
export const EVENT_KINDS = ['job', 'schedule', 'service', 'queue', 'endpoint', 'trail', 'audit', 'event'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

export const JOB_EVENTS = {
  enqueued: 'job.enqueued',
  ready: 'job.ready',
  started: 'job.started',
  succeeded: 'job.succeeded',
  attemptFailed: 'job.attempt_failed',
  deadLettered: 'job.dead_lettered',
  takenOver: 'job.taken_over',
  redriven: 'job.redriven',
  expired: 'job.expired',
  late: 'job.late',
  leased: 'job.leased',
  progress: 'job.progress',
  updated: 'job.updated',
  rescheduled: 'job.rescheduled',
  cancelRequested: 'job.cancel_requested',
  cancelled: 'job.cancelled',
  discarded: 'job.discarded',
} as const

export const SCHEDULE_EVENTS = {
  planned: 'schedule.planned',
  fired: 'schedule.fired',
  triggered: 'schedule.triggered',
  skipped: 'schedule.skipped',
  missed: 'schedule.missed',
  moved: 'schedule.moved',
  paused: 'schedule.paused',
  resumed: 'schedule.resumed',
  backfilled: 'schedule.backfilled',
  removed: 'schedule.removed',
} as const

export const BACKFILL_EVENTS = {
  started: 'backfill.started',
  stopped: 'backfill.stopped',
  finished: 'backfill.finished',
} as const

export const GAS_EVENTS = { charged: 'gas.charged' } as const

export const SERVICE_EVENTS = { applied: 'service.applied' } as const
export const KEY_EVENTS = { created: 'key.created', rotated: 'key.rotated', revoked: 'key.revoked' } as const
/** Of what deliveries are signed with. */
export const SECRET_EVENTS = {
  created: 'secret.created',
  rotated: 'secret.rotated',
  revoked: 'secret.revoked',
  resealed: 'secret.resealed',
} as const
export const QUEUE_EVENTS = {
  closed: 'queue.closed',
  paused: 'queue.paused',
  drainStarted: 'queue.drain_started',
  resumed: 'queue.resumed',
  purgeRequested: 'queue.purge_requested',
  purged: 'queue.purged',
} as const

export const REDRIVE_EVENTS = {
  started: 'redrive.started',
  stopped: 'redrive.stopped',
  finished: 'redrive.finished',
} as const

export const SUBSCRIPTION_EVENTS = {
  moved: 'subscription.moved',
  replayStarted: 'replay.started',
  replayStopped: 'replay.stopped',
  replayFinished: 'replay.finished',
  lost: 'subscription.lost_events',
} as const

/** What is done to the trail itself. */
export const TRAIL_EVENTS = {
  erased: 'payload.erased',
  holdPlaced: 'hold.placed',
  holdReleased: 'hold.released',
} as const

export const ENDPOINT_EVENTS = { opened: 'breaker.opened', closed: 'breaker.closed' } as const

/** Every type that the platform itself writes. */
export const PLATFORM_EVENT_TYPES: readonly string[] = [
  JOB_EVENTS,
  SCHEDULE_EVENTS,
  BACKFILL_EVENTS,
  GAS_EVENTS,
  SERVICE_EVENTS,
  KEY_EVENTS,
  SECRET_EVENTS,
  QUEUE_EVENTS,
  REDRIVE_EVENTS,
  SUBSCRIPTION_EVENTS,
  ENDPOINT_EVENTS,
  TRAIL_EVENTS,
].flatMap((events) => Object.values(events))
const PLATFORM_TYPES: ReadonlySet<string> = new Set(PLATFORM_EVENT_TYPES)

/** True for the types that only the platform itself publishes. */
export function isPlatformEvent(type: string): boolean {
  return PLATFORM_TYPES.has(type)
}

/** One entry of a partition's log. `data` is JSON text, verbatim: hashes and payloads are over these very bytes. */
export interface LogEvent {
  readonly position: string
  readonly partition: number
  readonly kind: EventKind
  readonly type: string
  readonly namespace: string
  /** The address of the queue concerned, '' where there is none. */
  readonly queue: string
  readonly entityId: string
  readonly data: string
  /** Facts that were written together stand in one entry; this is the last of its entry. Lag is counted in entries. */
  readonly endsEntry: boolean
}

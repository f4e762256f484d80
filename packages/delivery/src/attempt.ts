import type { QueueDefinition } from '@millrace/contracts'
import type { ClaimedJob, Paused, Settled, Settlement } from '@millrace/streams'

/** What an attempt came to. */
export interface Attempted {
  readonly settlement: Settlement
  /** The queue is to wait for a person, by this word. */
  readonly pause?: Paused
  /** Of the attempt, where it is traced. */
  readonly span?: SpanIds
}

/** Where in a trace something happened; lower-case hex, as in a `traceparent`. */
export interface SpanIds {
  readonly traceId: string
  readonly spanId: string
}

/** Why an attempt is ended from outside: somebody cancelled its job, or the job is in other hands now. */
export type EndReason = 'cancelled' | 'lost'

/** An attempt under way. */
export interface Attempt {
  /** End it now, for this reason; nothing when it has ended already. */
  end(why: EndReason): void
}

/**
 * How the attempts of one queue are made: with an HTTP request by a dispatcher, with a function by a pull consumer. Made
 * anew for each version of the manifest, and by one file per way; all else about delivery is the same.
 */
export interface AttemptMaker {
  readonly definition: QueueDefinition
  /** Attempts that this process may have under way at once; the queue's own limit, over all processes, is beside it. */
  readonly limit: number
  /** How many more may begin now for reasons of the maker's own, such as an open circuit. */
  room(): number
  /** Without room: ms until it is worth asking again, undefined when the maker wakes the queue itself. */
  roomInMs(): number | undefined
  /** Begin an attempt. `onEnd` is called once, whatever happens; it may be called before this returns. */
  begin(job: ClaimedJob, onEnd: (attempted: Attempted) => void): Attempt
  /** No more attempts than those of a claim under way will begin here: what waits for others goes now. */
  hurry?(): void
}

/** What is told of one queue's delivery, for logs and metrics. */
export interface QueueReport {
  /** This job started so long after it had become ready. */
  waited(ms: number, job: ClaimedJob): void
  inFlight(count: number): void
  tookOver(count: number): void
  /** Jobs whose time was over before an attempt began. */
  expired(jobIds: readonly string[]): void
  /** An attempt ended, and this is what will be settled. */
  attempted(job: ClaimedJob, settlement: Settlement, span?: SpanIds): void
  settled(settlement: Settlement, as: Settled, job: ClaimedJob): void
  /** An attempt ended whose job is in other hands. */
  lost(): void
}

/** Where faults and events of delivery are told; a pino logger fits. */
export interface DeliveryLog {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** Without it, nothing is told at the level of debugging. */
  isLevelEnabled?(level: string): boolean
}

export type LogFields = Readonly<Record<string, unknown>>

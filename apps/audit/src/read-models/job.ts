import { JOB_EVENTS, type JobState, parseId, parsePosition, parseQueueAddress } from '@millrace/contracts'
import type { Entry } from '../recorder/batch.ts'
import type { JobRow } from '../store/schema.ts'
import { numberIn, smallNumberIn, textIn } from './members.ts'

/**
 * The job after an event. It accepts every event ever written: a type that it does not know changes nothing, and the
 * first event seen of a job makes it, whichever it is, for the log may have been trimmed before we came.
 */
export function evolveJob(known: JobRow | undefined, entry: Entry): JobRow | undefined {
  const nowMs = parsePosition(entry.event.position).ms
  const change = changeOf(entry, nowMs)
  if (!change) return known
  return { ...(known ?? newJob(entry, nowMs)), ...change, updated_at_ms: nowMs }
}

type Change = Partial<Omit<JobRow, 'state'>> & { readonly state?: JobState }

function changeOf({ event, fact }: Entry, nowMs: number): Change | undefined {
  const { body } = fact
  const final = { finished_at_ms: nowMs, next_attempt_at_ms: null }
  const open = { finished_at_ms: null, next_attempt_at_ms: null }
  switch (event.type) {
    case JOB_EVENTS.enqueued:
      return { ...open, ...waitingOrScheduled(numberIn(body, 'dueAtMs'), nowMs) }
    case JOB_EVENTS.ready:
      return { ...open, state: 'waiting', ready_at_ms: nowMs }
    case JOB_EVENTS.started:
    case JOB_EVENTS.takenOver:
      return { ...open, state: 'running', started_at_ms: nowMs, ...attemptsIn(body, 'attempt') }
    case JOB_EVENTS.attemptFailed:
      return { ...failed(numberIn(body, 'nextAttemptAtMs')), ...attemptsIn(body, 'attempt'), ...failureIn(body) }
    case JOB_EVENTS.succeeded:
      return { ...final, state: 'succeeded', reason: null, ...statusIn(body), ...attemptsIn(body, 'attempt') }
    case JOB_EVENTS.deadLettered:
      return { ...final, state: 'dead', discarded_at_ms: null, ...attemptsIn(body, 'attempts'), ...reasonIn(body) }
    case JOB_EVENTS.discarded:
      return { discarded_at_ms: nowMs }
    case JOB_EVENTS.expired:
      return { ...final, state: 'expired' }
    case JOB_EVENTS.cancelled:
      return { ...final, state: 'cancelled' }
    case JOB_EVENTS.rescheduled:
    case JOB_EVENTS.updated:
      return { ...open, ...waitingOrScheduled(numberIn(body, 'dueAtMs'), nowMs) }
    case JOB_EVENTS.redriven:
      return { ...open, state: 'waiting', ready_at_ms: nowMs, attempts: 0, reason: null, status: null }
    default:
      // `job.late` is the news that an outcome came too late to count; what is not known here is not for us.
      return undefined
  }
}

function waitingOrScheduled(dueAtMs: number | undefined, nowMs: number): Change {
  return dueAtMs === undefined
    ? { state: 'waiting', ready_at_ms: nowMs }
    : { state: 'scheduled', next_attempt_at_ms: dueAtMs }
}

/** Without a next attempt the job's death follows in the next event, from the same script. */
function failed(nextAttemptAtMs: number | undefined): Change {
  return nextAttemptAtMs === undefined ? {} : { state: 'scheduled', next_attempt_at_ms: nextAttemptAtMs }
}

function newJob({ event, fact }: Entry, nowMs: number): JobRow {
  return {
    id: fact.entityId,
    namespace: fact.namespace,
    queue: fact.where.queue ?? '',
    kind: parseQueueAddress(event.queue ?? '').kind,
    state: 'waiting' satisfies JobState,
    attempts: 0,
    enqueued_at_ms: parseId(fact.entityId)?.ms ?? nowMs,
    updated_at_ms: nowMs,
    finished_at_ms: null,
    next_attempt_at_ms: null,
    reason: null,
    ready_at_ms: null,
    started_at_ms: null,
    status: null,
    discarded_at_ms: null,
  }
}

type Body = Entry['fact']['body']

function attemptsIn(body: Body, name: string): { attempts?: number } {
  const attempts = smallNumberIn(body, name)
  return attempts === undefined ? {} : { attempts }
}

function reasonIn(body: Body): { reason?: string } {
  const reason = textIn(body, 'reason')
  return reason === undefined ? {} : { reason }
}

function failureIn(body: Body): { reason?: string; status: number | null } {
  return { ...reasonIn(body), status: smallNumberIn(body, 'status') ?? null }
}

function statusIn(body: Body): { status: number | null } {
  return { status: smallNumberIn(body, 'status') ?? null }
}

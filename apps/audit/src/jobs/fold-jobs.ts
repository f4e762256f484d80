import { JOB_EVENTS, type JobState, parseId, parsePosition, parseQueueAddress } from '@millrace/contracts'
import type { Entry } from '../recorder/batch.ts'
import type { JobRow } from '../store/schema.ts'

/** Fold the job events of a batch into the rows of the jobs they concern; only rows that changed come back. */
export function foldJobs(entries: readonly Entry[], jobOf: (id: string) => JobRow | undefined): JobRow[] {
  const jobs = new Map<string, JobRow>()
  for (const entry of entries) {
    if (entry.event.kind !== 'job') continue
    const { entityId } = entry.fact
    const known = jobs.get(entityId) ?? jobOf(entityId)
    const next = evolveJob(known, entry)
    if (next && next !== known) jobs.set(entityId, next)
  }
  return [...jobs.values()]
}

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
  const body = fact.body ?? {}
  const final = { finished_at_ms: nowMs, next_attempt_at_ms: null }
  const open = { finished_at_ms: null, next_attempt_at_ms: null }
  switch (event.type) {
    case JOB_EVENTS.enqueued:
      return { ...open, ...waitingOrScheduled(numberIn(body, 'dueAtMs')) }
    case JOB_EVENTS.ready:
      return { ...open, state: 'waiting' }
    case JOB_EVENTS.started:
    case JOB_EVENTS.takenOver:
      return { ...open, state: 'running', ...attemptsIn(body, 'attempt') }
    case JOB_EVENTS.attemptFailed:
      return { ...failed(numberIn(body, 'nextAttemptAtMs')), ...attemptsIn(body, 'attempt'), ...reasonIn(body) }
    case JOB_EVENTS.succeeded:
      return { ...final, state: 'succeeded', reason: null, ...attemptsIn(body, 'attempt') }
    case JOB_EVENTS.deadLettered:
      return { ...final, state: 'dead', ...attemptsIn(body, 'attempts'), ...reasonIn(body) }
    case JOB_EVENTS.expired:
      return { ...final, state: 'expired' }
    case JOB_EVENTS.cancelled:
      return { ...final, state: 'cancelled' }
    case JOB_EVENTS.rescheduled:
    case JOB_EVENTS.updated:
      return { ...open, ...waitingOrScheduled(numberIn(body, 'dueAtMs')) }
    case JOB_EVENTS.redriven:
      return { ...open, state: 'waiting', attempts: 0, reason: null }
    default:
      // `job.late` is the news that an outcome came too late to count; what is not known here is not for us.
      return undefined
  }
}

function waitingOrScheduled(dueAtMs: number | undefined): Change {
  return dueAtMs === undefined ? { state: 'waiting' } : { state: 'scheduled', next_attempt_at_ms: dueAtMs }
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
  }
}

function numberIn(body: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = body[name]
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

function attemptsIn(body: Readonly<Record<string, unknown>>, name: string): { attempts?: number } {
  const attempts = numberIn(body, name)
  return attempts === undefined ? {} : { attempts }
}

function reasonIn({ reason }: Readonly<Record<string, unknown>>): { reason?: string } {
  return typeof reason === 'string' ? { reason: reason.toWellFormed() } : {}
}

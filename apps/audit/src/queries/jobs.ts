import { FINAL_JOB_STATES, JOB_EVENTS, type JobState, type JobView, parseId } from '@millrace/contracts'
import type { AuditRecord } from '@millrace/engine'
import { rawMember } from '@millrace/engine'
import type { Kysely } from 'kysely'
import { arrayText, asJson, withRaw } from '../api/json-text.ts'
import type { Database } from '../store/database.ts'
import type { AuditDatabase, JobRow, RecordRow } from '../store/schema.ts'
import { memberText } from './payload.ts'
import { idAt } from './time-range.ts'

export interface JobFilter {
  readonly namespace?: string
  readonly queue?: string
  readonly state?: JobState
  readonly since?: string
  readonly until?: string
  /** The class of the last error. */
  readonly reason?: string
  /** A member of the payload, below its root, and what it is as text. */
  readonly payload?: { readonly path: readonly string[]; readonly equals: string } | undefined
  /** Dead letters: without those that were discarded. */
  readonly kept?: boolean
  readonly dialect: Database['dialect']
  readonly limit: number
  /** The job before the page: the list goes from new to old. */
  readonly before?: string
}

/** These have the payload of a job. A debounced job has that of its last update. */
const PAYLOAD_EVENTS: readonly string[] = [JOB_EVENTS.enqueued, JOB_EVENTS.updated]

export function isFinal({ state }: JobRow): boolean {
  return FINAL_JOB_STATES.includes(state as JobState)
}

export async function findJob(read: Kysely<AuditDatabase>, id: string): Promise<JobRow | undefined> {
  return read.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Jobs that pass the filter, the newest first. */
export async function findJobs(
  read: Kysely<AuditDatabase>,
  { namespace, queue, state, since, until, reason, payload, kept, dialect, limit, before }: JobFilter,
): Promise<{ jobs: JobRow[]; more: boolean }> {
  let query = read
    .selectFrom('jobs')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (namespace !== undefined) query = query.where('namespace', '=', namespace)
  if (queue !== undefined) query = query.where('queue', '=', queue)
  if (state !== undefined) query = query.where('state', '=', state)
  if (since !== undefined) query = query.where('id', '>=', idAt('job', since))
  if (until !== undefined) query = query.where('id', '<', idAt('job', until))
  if (before !== undefined) query = query.where('id', '<', before)
  if (reason !== undefined) query = query.where('reason', '=', reason)
  if (kept) query = query.where('discarded_at_ms', 'is', null)
  if (payload !== undefined) {
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom(
            eb
              .selectFrom('records')
              .select('records.data')
              .whereRef('records.namespace', '=', 'jobs.namespace')
              .whereRef('records.entity_id', '=', 'jobs.id')
              .where('records.kind', '=', 'job')
              .where('records.event_type', 'in', PAYLOAD_EVENTS)
              .orderBy('records.chain_index', 'desc')
              .limit(1)
              .as('newest'),
          )
          .select('newest.data')
          .where((on) =>
            on(memberText(dialect, on.ref('newest.data'), ['data', ...payload.path]), '=', payload.equals),
          ),
      ),
    )
  }
  const jobs = await query.execute()
  return { jobs: jobs.slice(0, limit), more: jobs.length > limit }
}

/** The records of a job's life, in order. A service may emit about a job's id as well; that is not the job's history. */
export async function findJobRecords(read: Kysely<AuditDatabase>, { namespace, id }: JobRow): Promise<RecordRow[]> {
  return read
    .selectFrom('records')
    .selectAll()
    .where('namespace', '=', namespace)
    .where('entity_id', '=', id)
    .where('kind', '=', 'job')
    .orderBy('chain_index')
    .execute()
}

/** The position of a job's newest record, and its newest progress as JSON text. */
export async function findLatestRecords(
  read: Kysely<AuditDatabase>,
  { namespace, id }: JobRow,
): Promise<{ position: string; progress?: string } | undefined> {
  const newestFirst = read
    .selectFrom('records')
    .select(['event_id', 'data'])
    .where('namespace', '=', namespace)
    .where('entity_id', '=', id)
    .where('kind', '=', 'job')
    .orderBy('chain_index', 'desc')
    .limit(1)
  const newest = parseId((await newestFirst.executeTakeFirst())?.event_id ?? '')
  if (!newest) return undefined
  const reported = await newestFirst.where('event_type', '=', JOB_EVENTS.progress).executeTakeFirst()
  return { position: `${newest.ms}-${newest.seq}`, ...(reported && { progress: asJson(reported.data) }) }
}

/** A job with its payload and its whole history, as JSON. */
export function jobText(job: JobRow, records: readonly RecordRow[]): string {
  const history = records.map(({ record, data }) => {
    const { when, eventType } = JSON.parse(record) as AuditRecord
    return withRaw({ at: when, type: eventType }, 'data', asJson(data))
  })
  const payload = records.findLast(({ event_type: type }) => PAYLOAD_EVENTS.includes(type))
  const result = memberOf(
    records.findLast(({ event_type: type }) => type === JOB_EVENTS.succeeded),
    'result',
  )
  const progress = records.findLast(({ event_type: type }) => type === JOB_EVENTS.progress)?.data ?? undefined
  const known = progress === undefined ? '' : `,"progress":${asJson(progress)}`
  const rest = `${known}${result === undefined ? '' : `,"result":${result}`},"history":${arrayText(history)}}`
  return withRaw(jobView(job), 'data', payloadOf(payload)).replace(/}$/, () => rest)
}

/** Jobs with their payloads, as JSON. */
export async function jobListTexts(read: Kysely<AuditDatabase>, jobs: readonly JobRow[]): Promise<string[]> {
  if (jobs.length === 0) return []
  const records = await read
    .selectFrom('records')
    .select(['entity_id', 'data'])
    .where((eb) =>
      eb(
        eb.refTuple('namespace', 'entity_id'),
        'in',
        jobs.map(({ namespace, id }) => eb.tuple(namespace, id)),
      ),
    )
    .where('kind', '=', 'job')
    .where('event_type', 'in', PAYLOAD_EVENTS)
    .orderBy('chain_index')
    .execute()
  // The last of a job stays.
  const byJob = new Map(records.map((record) => [record.entity_id, record]))
  return jobs.map((job) => withRaw(jobView(job), 'data', payloadOf(byJob.get(job.id))))
}

function payloadOf(record: Pick<RecordRow, 'data'> | undefined): string {
  return memberOf(record, 'data') ?? 'null'
}

/** A member of a record's data, as it came. */
function memberOf(record: Pick<RecordRow, 'data'> | undefined, name: string): string | undefined {
  const event = asJson(record?.data ?? null)
  return event.startsWith('{') ? rawMember(event, name) : undefined
}

/** A job without its payload. */
export function jobView(job: JobRow): Omit<JobView, 'data' | 'history'> {
  return {
    id: job.id,
    namespace: job.namespace,
    queue: job.queue,
    kind: job.kind,
    state: job.state as JobState,
    attempts: job.attempts,
    enqueuedAt: toTime(job.enqueued_at_ms),
    updatedAt: toTime(job.updated_at_ms),
    ...(job.finished_at_ms !== null && { finishedAt: toTime(job.finished_at_ms) }),
    ...(job.next_attempt_at_ms !== null && { nextAttemptAt: toTime(job.next_attempt_at_ms) }),
    ...(job.reason !== null && { reason: job.reason }),
    ...(job.status !== null && { status: job.status }),
    ...(job.discarded_at_ms !== null && { discardedAt: toTime(job.discarded_at_ms) }),
  }
}

function toTime(ms: number): string {
  return new Date(ms).toISOString()
}

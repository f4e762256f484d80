import {
  auditEventSchema,
  JOB_STATES,
  jobViewSchema,
  namespaceSchema,
  ProblemError,
  parseId,
  REQUEST_LIMITS,
  timeSchema,
} from '@millrace/contracts'
import { type AppServer, endOf } from '@millrace/runtime'
import type { Partitions } from '@millrace/streams'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import { eventText } from '../queries/events.ts'
import { findJob, findJobRecords, findJobs, isFinal, jobListTexts, jobText } from '../queries/jobs.ts'
import { type Signals, waitFor } from '../recorder/signals.ts'
import type { Store } from '../store/open-store.ts'
import type { AuditDatabase, JobRow } from '../store/schema.ts'
import { fromCursor, toCursor } from './cursor.ts'
import { arrayText } from './json-text.ts'
import { waitSchema } from './wait-parameter.ts'

export interface JobDeps {
  readonly read: Kysely<AuditDatabase>
  readonly dialect: Store['dialect']
  readonly partitions: Partitions
  readonly signals: Signals
  readonly stopping: AbortSignal
}

const JSON_TYPE = 'application/json; charset=utf-8'
const idParams = z.object({ id: z.string() })

const payloadFilters = {
  field: z
    .string()
    .max(200)
    .regex(/^[^.]+(\.[^.]+)*$/, 'must be names with dots between them, such as customer.id')
    .optional()
    .describe('a member of the payload, such as customer.id or items.0'),
  equals: z.string().max(500).optional().describe('what that member is, as text'),
}

const jobQuerySchema = z.strictObject({
  namespace: namespaceSchema.optional(),
  queue: z.string().min(1).max(80).optional().describe('its address: send-mail, or schedule:nightly-sync'),
  state: z.enum(JOB_STATES).optional(),
  since: timeSchema.optional().describe('enqueued then or later'),
  until: timeSchema.optional().describe('enqueued before'),
  reason: z.string().max(100).optional().describe('the class of its last error: timeout, http_status, …'),
  ...payloadFilters,
  limit: z.coerce.number().int().min(1).max(REQUEST_LIMITS.pageItems.value).default(100),
  cursor: z.string().max(200).optional(),
})

/** What became of the jobs, as the log tells it. */
export function addJobRoutes(server: AppServer, deps: JobDeps): void {
  const { read, dialect } = deps
  const page = async (query: z.output<typeof jobQuerySchema> & { kept?: boolean }) => {
    const before = fromCursor(query.cursor, 'job')
    const filter = { ...query, dialect, payload: payloadFilter(query), ...(before !== undefined && { before }) }
    const { jobs, more } = await findJobs(read, filter)
    const last = jobs.at(-1)
    const cursor = more && last ? `,"cursor":"${toCursor(last.id)}"` : ''
    return { texts: arrayText(await jobListTexts(read, jobs)), cursor }
  }
  server.route({
    method: 'GET',
    url: '/v1/jobs',
    schema: {
      summary: 'Jobs, newest first',
      querystring: jobQuerySchema,
      response: {
        200: z.object({ jobs: z.array(jobViewSchema.omit({ history: true })), cursor: z.string().optional() }),
      },
    },
    async handler(request, reply) {
      const { texts, cursor } = await page(request.query)
      return reply.type(JSON_TYPE).send(`{"jobs":${texts}${cursor}}` as never)
    },
  })

  server.route({
    method: 'GET',
    url: '/v1/dead-letters',
    schema: {
      summary: 'Dead jobs that were not discarded, newest first; redriven ones are dead no more',
      querystring: jobQuerySchema.omit({ state: true }),
      response: {
        200: z.object({ deadLetters: z.array(jobViewSchema.omit({ history: true })), cursor: z.string().optional() }),
      },
    },
    async handler(request, reply) {
      const { texts, cursor } = await page({ ...request.query, state: 'dead', kept: true })
      return reply.type(JSON_TYPE).send(`{"deadLetters":${texts}${cursor}}` as never)
    },
  })

  server.route({
    method: 'GET',
    url: '/v1/jobs/:id',
    schema: {
      summary: 'A job with its payload and its history; ?wait= answers when it is final, or when the time is over',
      params: idParams,
      querystring: z.strictObject({ wait: waitSchema.optional() }),
      response: { 200: jobViewSchema },
    },
    async handler(request, reply) {
      const { id } = request.params
      const { over } = endOf(reply, deps.stopping)
      const job = await waitForFinal(deps, { id, timeoutMs: request.query.wait ?? 0, abort: over })
      if (!job) throw unknownJob(id)
      request.requireNamespace(job.namespace)
      return reply.type(JSON_TYPE).send(jobText(job, await findJobRecords(read, job)) as never)
    },
  })

  server.route({
    method: 'GET',
    url: '/v1/jobs/:id/events',
    schema: {
      summary: 'The audit records of a job, oldest first',
      params: idParams,
      response: { 200: z.object({ events: z.array(auditEventSchema) }) },
    },
    async handler(request, reply) {
      const job = await findJob(read, request.params.id)
      if (!job) throw unknownJob(request.params.id)
      request.requireNamespace(job.namespace)
      const events = (await findJobRecords(read, job)).map(eventText)
      return reply.type(JSON_TYPE).send(`{"events":${arrayText(events)}}` as never)
    },
  })
}

/** Both or neither: a field without a value would find what the caller did not ask for. */
function payloadFilter({ field, equals }: { field?: string | undefined; equals?: string | undefined }) {
  if (field !== undefined && equals !== undefined) return { path: field.split('.'), equals }
  if (field === undefined && equals === undefined) return undefined
  const missing = field === undefined ? 'field' : 'equals'
  throw new ProblemError('request.invalid', 'field and equals go together: field=customer.id&equals=42.', {
    errors: [{ pointer: `/${missing}`, detail: 'is missing' }],
  })
}

/** The job once it is final, or as it is when the time is over. One that was not folded yet may still come. */
async function waitForFinal(
  { read, partitions, signals }: JobDeps,
  { id, timeoutMs, abort }: { id: string; timeoutMs: number; abort: AbortSignal },
): Promise<JobRow | undefined> {
  const parts = parseId(id)
  if (parts?.prefix !== 'job' || !partitions.byNumber(parts.partition)) return undefined
  const look = async () => {
    const job = await findJob(read, id)
    return job && isFinal(job) ? job : undefined
  }
  return (await waitFor(signals, { key: id, timeoutMs, abort, look })) ?? findJob(read, id)
}

function unknownJob(id: string): ProblemError {
  return new ProblemError('job.unknown', `There is no job ${id} in the trail.`)
}

import {
  batchRequestSchema,
  bySchema,
  durabilityFields,
  enqueueRequestSchema,
  enqueueResponseSchema,
  PROBLEMS,
  ProblemError,
  parseId,
  problemSchema,
  REQUEST_LIMITS,
} from '@millrace/contracts'
import { rawElements } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import { redrive, splitAddress } from '@millrace/streams'
import { z } from 'zod'
import type { Accepted } from './accepted.ts'
import { createEnqueueTraces } from './enqueue-traces.ts'
import { type AskedJob, createIntake, type IntakeDeps } from './intake.ts'
import { parseJob, type RequestHeaders } from './job-request.ts'
import { redrivableAddress } from './letter-queues.ts'

/** Room for the members beside the payload. */
const ENVELOPE_BYTES = 8192
const MAX_BATCH_BYTES = REQUEST_LIMITS.bulkBodyBytes.value

/** `POST /jobs`, `POST /jobs/batch`, `POST /jobs/{id}/retry`. */
export function addJobRoutes(server: AppServer, deps: IntakeDeps): void {
  const intake = createIntake(deps)
  const traces = createEnqueueTraces(deps.tracing)

  server.post(
    '/jobs',
    {
      bodyLimit: deps.maxJobBytes + ENVELOPE_BYTES,
      schema: {
        summary: 'Enqueue a job',
        body: enqueueRequestSchema,
        response: {
          200: enqueueResponseSchema.describe('no new job was made: the idempotency or unique key stands for this one'),
          202: enqueueResponseSchema,
          404: problemSchema,
          409: problemSchema,
          413: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const accepted = await traces.one(request.body, headersOf(request.headers), (headers) =>
        intake.accept({ request: request.body, text: request.rawBody, headers }),
      )
      if (accepted.deduplicated === 'idempotency_key') reply.header('idempotency-replayed', 'true')
      // The answer is returned and not sent: returning the reply would be waiting for it, a promise and a turn of the microtasks more.
      reply.status(statusOf(accepted))
      return { ...accepted, ...deps.durability.now() }
    },
  )

  server.post(
    '/jobs/batch',
    {
      bodyLimit: MAX_BATCH_BYTES,
      schema: {
        summary: 'Enqueue up to 1,000 jobs, one result each',
        body: batchRequestSchema,
        response: { 200: z.object({ results: z.array(z.unknown()), ...durabilityFields }), 422: problemSchema },
      },
    },
    async (request) => {
      // A header can name one job only; in a batch each job brings its own idempotency key.
      const { idempotencyKey: _one, ...sent } = headersOf(request.headers)
      const { jobs, atomic = false } = request.body
      const texts = rawElements(request.rawBody, 'jobs')
      const results = await traces.many(jobs.length, sent, (headers) => {
        const ask = (value: unknown, index: number): AskedJob => ({
          request: parseJob(value),
          text: texts[index] as string,
          headers,
        })
        const asked = atomic ? parseAll(jobs, ask) : jobs.map((value, index) => orProblem(() => ask(value, index)))
        return intake.acceptAll(asked, { atomic })
      })
      return { ...deps.durability.now(), results: results.map(toItemResult) }
    },
  )

  server.post(
    '/jobs/:id/retry',
    {
      schema: {
        summary: 'Put a dead letter back into its queue',
        params: z.object({ id: z.string() }),
        body: z.strictObject(bySchema),
        response: { 202: z.object({ id: z.string() }), 404: problemSchema, 409: problemSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { who, why } = request.body
      const partition = deps.partitions.byNumber(parseId(id)?.partition ?? -1)
      const place = await partition?.redis.hget(partition.keys.deadIndex, id)
      const [address] = place?.split(' ') ?? []
      if (address) await redrivableAddress(deps, splitAddress(address))
      const redriven = partition && address ? await redrive(partition, { address, ids: [id], limit: 1, who, why }) : []
      if (redriven.length === 0)
        throw new ProblemError('job.unknown', `${id} is not a dead letter. GET /dead-letters lists them.`)
      const { namespace, queue } = splitAddress(address as string)
      deps.metrics.redriven.inc({ namespace, queue })
      return reply.status(202).send({ id })
    },
  )
}

function headersOf(headers: Record<string, unknown>): RequestHeaders {
  const { 'idempotency-key': idempotencyKey, traceparent, tracestate } = headers
  return { idempotencyKey: textOf(idempotencyKey), traceparent: textOf(traceparent), tracestate: textOf(tracestate) }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function statusOf({ deduplicated }: Accepted): 200 | 202 {
  return deduplicated === undefined ? 202 : 200
}

/** Of an atomic batch every job must be right before any is accepted; all mistakes are named at once. */
function parseAll(values: readonly unknown[], ask: (value: unknown, index: number) => AskedJob): AskedJob[] {
  const asked = values.map((value, index) => orProblem(() => ask(value, index)))
  const errors = asked.flatMap((each, index) => {
    if (!(each instanceof ProblemError)) return []
    return (each.errors ?? []).map(({ pointer, detail }) => ({ pointer: `/jobs/${index}${pointer}`, detail }))
  })
  if (errors.length === 0) return asked as AskedJob[]
  throw new ProblemError('request.invalid', `${errors.length} mistakes in the atomic batch.`, { errors })
}

function orProblem<T>(parse: () => T): T | ProblemError {
  try {
    return parse()
  } catch (error) {
    if (error instanceof ProblemError) return error
    throw error
  }
}

function toItemResult(result: Accepted | ProblemError): unknown {
  if (result instanceof ProblemError) return { status: PROBLEMS[result.code].status, problem: result.toProblem() }
  return { status: statusOf(result), ...result }
}

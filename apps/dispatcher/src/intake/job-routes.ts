import {
  batchRequestSchema,
  bySchema,
  enqueueRequestSchema,
  enqueueResponseSchema,
  PROBLEMS,
  ProblemError,
  parseId,
  problemSchema,
} from '@millrace/contracts'
import { rawElements } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import { redrive, splitAddress } from '@millrace/streams'
import { z } from 'zod'
import { createEnqueueTraces } from './enqueue-traces.ts'
import { type Accepted, type AskedJob, createIntake, type Intake, type IntakeDeps } from './intake.ts'
import { parseJob, type RequestHeaders } from './job-request.ts'
import { redrivableAddress } from './letter-queues.ts'

/** Room for the members beside the payload. */
const ENVELOPE_BYTES = 8192
const MAX_BATCH_BYTES = 33_554_432

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
      return reply.status(statusOf(accepted)).send({ ...accepted, durability: deps.durability })
    },
  )

  server.post(
    '/jobs/batch',
    {
      bodyLimit: MAX_BATCH_BYTES,
      schema: {
        summary: 'Enqueue up to 1,000 jobs, one result each',
        body: batchRequestSchema,
        response: { 200: z.object({ results: z.array(z.unknown()), durability: z.string() }), 422: problemSchema },
      },
    },
    async (request) => {
      const { durability } = deps
      // A header can name one job only; in a batch each job brings its own idempotency key.
      const { idempotencyKey: _one, ...sent } = headersOf(request.headers)
      const { atomic, jobs } = request.body
      const texts = rawElements(request.rawBody, 'jobs')
      const results = await traces.many(jobs.length, sent, (headers) => {
        const ask = (value: unknown, index: number): AskedJob => ({
          request: parseJob(value),
          text: texts[index] as string,
          headers,
        })
        return atomic ? acceptTogether(intake, jobs, ask) : acceptEach(intake, jobs, ask)
      })
      return { durability, results }
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
      const { who = 'api', why } = request.body
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
  return {
    ...(typeof idempotencyKey === 'string' && { idempotencyKey }),
    ...(typeof traceparent === 'string' && { traceparent }),
    ...(typeof tracestate === 'string' && { tracestate }),
  }
}

function statusOf({ deduplicated }: Accepted): 200 | 202 {
  return deduplicated === undefined ? 202 : 200
}

type Ask = (value: unknown, index: number) => AskedJob

async function acceptEach(intake: Intake, jobs: readonly unknown[], ask: Ask): Promise<unknown[]> {
  const results = await Promise.allSettled(jobs.map(async (value, index) => intake.accept(ask(value, index))))
  return results.map(toItemResult)
}

async function acceptTogether(intake: Intake, jobs: readonly unknown[], ask: Ask): Promise<unknown[]> {
  const results = await intake.acceptTogether(parseAll(jobs, ask))
  return results.map((result) => (result instanceof ProblemError ? refused(result) : acceptedItem(result)))
}

/** Of an atomic batch every job must be right before any is accepted; all mistakes are named at once. */
function parseAll(values: readonly unknown[], ask: Ask): AskedJob[] {
  const asked: AskedJob[] = []
  const errors = values.flatMap((value, index) => {
    try {
      asked.push(ask(value, index))
      return []
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error
      return (error.errors ?? []).map(({ pointer, detail }) => ({ pointer: `/jobs/${index}${pointer}`, detail }))
    }
  })
  if (errors.length > 0)
    throw new ProblemError('request.invalid', `${errors.length} mistakes in the atomic batch.`, { errors })
  return asked
}

function toItemResult(result: PromiseSettledResult<Accepted>): unknown {
  if (result.status === 'fulfilled') return acceptedItem(result.value)
  if (result.reason instanceof ProblemError) return refused(result.reason)
  throw result.reason
}

function acceptedItem(accepted: Accepted): unknown {
  return { status: statusOf(accepted), ...accepted }
}

function refused(problem: ProblemError): unknown {
  return { status: PROBLEMS[problem.code].status, problem: problem.toProblem() }
}

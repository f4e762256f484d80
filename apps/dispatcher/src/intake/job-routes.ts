import {
  batchRequestSchema,
  type Durability,
  type EnqueueRequest,
  enqueueRequestSchema,
  enqueueResponseSchema,
  PROBLEMS,
  ProblemError,
  parseId,
  problemSchema,
} from '@millrace/contracts'
import { rawElements } from '@millrace/engine'
import type { AppServer, Clock } from '@millrace/runtime'
import {
  type Enqueued,
  type NewJob,
  openQueues,
  type Partition,
  type Partitions,
  type RegistryView,
  redrive,
} from '@millrace/streams'
import { z } from 'zod'
import type { DispatcherMetrics } from '../metrics.ts'
import { createEnqueuer, type Enqueuer } from './enqueuer.ts'
import { findDeclared, findQueue } from './find-queue.ts'
import { parseJob, type RequestContext, toNewJob } from './job-request.ts'

export interface IntakeDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  readonly durability: Durability
  readonly maxJobBytes: number
}

/** Room for the members beside the payload. */
const ENVELOPE_BYTES = 8192
const MAX_BATCH_BYTES = 33_554_432

/** `POST /jobs`, `POST /jobs/batch`, `POST /jobs/{id}/retry`. */
export function addJobRoutes(server: AppServer, deps: IntakeDeps): void {
  const enqueuers = new Map<Partition, Enqueuer>(
    deps.partitions.all.map((partition) => [partition, createEnqueuer(partition)]),
  )

  const accept = async (request: EnqueueRequest, job: NewJob): Promise<Enqueued> => {
    await findQueue(deps.registry, request.namespace, request.queue)
    const partition = deps.partitions.of(job.address)
    const enqueuer = enqueuers.get(partition) as Enqueuer
    let result = await enqueuer(job)
    if (result.kind === 'closed') {
      // Closed while this process had not heard of it; declared again since, or else refused.
      await deps.registry.refresh()
      await findQueue(deps.registry, request.namespace, request.queue)
      await openQueues(partition, [job.address])
      result = await enqueuer(job)
    }
    deps.metrics.enqueued.inc({ namespace: request.namespace, queue: request.queue, result: result.kind })
    if (result.kind === 'closed') {
      throw new ProblemError('queue.closing', `Queue "${request.queue}" of ${request.namespace} was closed just now.`)
    }
    if (result.kind === 'conflict') {
      throw new ProblemError(
        'idempotency.conflict',
        `The idempotency key "${job.idempotency?.key}" was used for job ${result.id} with another body. Use a new key for a new job.`,
      )
    }
    return result
  }
  const contextOf = (headers: Record<string, unknown>): RequestContext => ({
    ...(typeof headers['idempotency-key'] === 'string' && { idempotencyKey: headers['idempotency-key'] }),
    ...(typeof headers.traceparent === 'string' && { traceparent: headers.traceparent }),
    maxBytes: deps.maxJobBytes,
    nowMs: deps.clock.now(),
  })

  server.post(
    '/jobs',
    {
      bodyLimit: deps.maxJobBytes + ENVELOPE_BYTES,
      schema: {
        summary: 'Enqueue a job',
        body: enqueueRequestSchema,
        response: {
          200: enqueueResponseSchema,
          202: enqueueResponseSchema,
          404: problemSchema,
          409: problemSchema,
          413: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const job = toNewJob(request.body, request.rawBody, contextOf(request.headers))
      const { kind, id } = await accept(request.body, job)
      if (kind === 'replayed') reply.header('idempotency-replayed', 'true')
      return reply.status(kind === 'replayed' ? 200 : 202).send({ id, durability: deps.durability })
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
      // A header can name one job only; in a batch each job brings its own key.
      const { idempotencyKey: _header, ...context } = contextOf(request.headers)
      const texts = rawElements(request.rawBody, 'jobs')
      const results = request.body.jobs.map(async (value, index) => {
        const job = parseJob(value)
        return accept(job, toNewJob(job, texts[index] as string, context))
      })
      return { durability: deps.durability, results: (await Promise.allSettled(results)).map(toItemResult) }
    },
  )

  server.post(
    '/jobs/:id/retry',
    {
      schema: {
        summary: 'Put a dead letter back into its queue',
        params: z.object({ id: z.string() }),
        body: z.strictObject({
          who: z.string().min(1).max(200).optional(),
          why: z.string().min(1).max(1000).optional(),
        }),
        response: { 202: z.object({ id: z.string() }), 404: problemSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { who = 'api', why } = request.body
      const partition = deps.partitions.byNumber(parseId(id)?.partition ?? -1)
      const place = await partition?.redis.hget(partition.keys.deadIndex, id)
      const [address] = place?.split(' ') ?? []
      if (address) await findDeclared(deps.registry, address)
      const redriven = partition && address ? await redrive(partition, { address, ids: [id], limit: 1, who, why }) : []
      if (redriven.length === 0)
        throw new ProblemError('job.unknown', `${id} is not a dead letter. GET /dead-letters lists them.`)
      return reply.status(202).send({ id })
    },
  )
}

function toItemResult(result: PromiseSettledResult<Enqueued>): unknown {
  if (result.status === 'fulfilled')
    return { status: result.value.kind === 'replayed' ? 200 : 202, id: result.value.id }
  if (result.reason instanceof ProblemError)
    return { status: PROBLEMS[result.reason.code].status, problem: result.reason.toProblem() }
  throw result.reason
}

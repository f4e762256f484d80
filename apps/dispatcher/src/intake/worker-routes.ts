import {
  ProblemError,
  parseId,
  problemSchema,
  progressRequestSchema,
  jobTokenSchema as token,
} from '@millrace/contracts'
import type { ProgressLog } from '@millrace/delivery'
import { MAX_LEASE_SECONDS, MAX_RESULT_CHARACTERS, rawMember, retryDelay } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import {
  mayReport,
  type Partition,
  type Partitions,
  readLeased,
  settleLeased,
  type WorkerWord,
} from '@millrace/streams'
import { z } from 'zod'
import { type JobEndDeps, reportEnd } from '../job-ends.ts'

export interface WorkerDeps extends JobEndDeps {
  readonly partitions: Partitions
  readonly progress: ProgressLog
  random(): number
}

const params = z.object({ id: z.string() })
const answers = { 200: z.object({ result: z.enum(['extended', 'settled']) }), 404: problemSchema, 409: problemSchema }
const MAX_ERROR_CHARACTERS = 4096

/**
 * `POST /jobs/{id}/heartbeat|complete|fail`: what a worker says that answered a delivery with 202 and `x-job-lease`, and
 * works on after the request has ended. `POST /jobs/{id}/progress`: what any worker says of how far it is.
 */
export function addWorkerRoutes(server: AppServer, deps: WorkerDeps): void {
  server.post(
    '/jobs/:id/heartbeat',
    {
      schema: {
        summary: 'A worker goes on: its lease is extended from now',
        params,
        body: z.strictObject({ token, leaseSeconds: z.int().min(1).max(MAX_LEASE_SECONDS) }),
        response: answers,
      },
    },
    async (request) => {
      const { token, leaseSeconds } = request.body
      return say(deps, { id: request.params.id, token }, () => ({ kind: 'extend', leaseMs: leaseSeconds * 1000 }))
    },
  )

  server.post(
    '/jobs/:id/complete',
    {
      schema: {
        summary: 'A worker is done',
        params,
        body: z.strictObject({ token, result: z.unknown().optional() }),
        response: { ...answers, 413: problemSchema },
      },
    },
    async (request) => {
      const result = rawMember(request.rawBody, 'result')
      if (result !== undefined && result.length > MAX_RESULT_CHARACTERS) {
        throw new ProblemError(
          'request.too_large',
          `The result has ${result.length} characters, the limit is ${MAX_RESULT_CHARACTERS}. Store it elsewhere and send a reference.`,
        )
      }
      const word: WorkerWord = { kind: 'succeeded', ...(result !== undefined && { result }) }
      return say(deps, { id: request.params.id, token: request.body.token }, () => word)
    },
  )

  server.post(
    '/jobs/:id/fail',
    {
      schema: {
        summary: 'A worker failed: the job is retried as its queue says, or dead at once with retry: false',
        params,
        body: z.strictObject({
          token,
          error: z.string().max(MAX_ERROR_CHARACTERS).optional(),
          retry: z.boolean().default(true),
        }),
        response: answers,
      },
    },
    async (request) => {
      const { token, error = 'the worker said that it failed', retry } = request.body
      const lastResponse = { error }
      return say(deps, { id: request.params.id, token }, ({ attempt, policy: { retries, retryDelayMs, backoff } }) => {
        if (!retry || attempt > retries) return { kind: 'dead', lastResponse }
        return {
          kind: 'retry',
          delayMs: retryDelay({ backoff, retryDelayMs, retry: attempt, random: deps.random() }),
          lastResponse,
        }
      })
    },
  )

  server.post(
    '/jobs/:id/progress',
    {
      schema: {
        summary: 'How far a job is, for people; of many reports in a moment the last counts',
        params,
        body: progressRequestSchema,
        response: {
          202: z.object({ result: z.literal('noted') }),
          404: problemSchema,
          409: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { token, ...progress } = request.body
      if (!(await mayReport(partitionOf(deps, id), { id, token }))) throw notHeld(id)
      await deps.progress.report(id, progress)
      return reply.status(202).send({ result: 'noted' })
    },
  )
}

type Leased = NonNullable<Awaited<ReturnType<typeof readLeased>>>

async function say(
  deps: WorkerDeps,
  { id, token }: { id: string; token: string },
  decide: (leased: Leased) => WorkerWord,
) {
  const partition = partitionOf(deps, id)
  const leased = await readLeased(partition, { id, token })
  const word = leased && decide(leased)
  const result = leased && word ? await settleLeased(partition, { id, token, leased, word }) : 'lost'
  if (result === 'lost') throw notHeld(id)
  if (leased && (word?.kind === 'succeeded' || word?.kind === 'dead')) {
    const reason = word.kind === 'dead' ? { reason: 'worker_failed' as const } : {}
    reportEnd(deps, { address: leased.address, jobId: id, outcome: word.kind, ...reason })
  }
  return { result }
}

function notHeld(id: string): ProblemError {
  return new ProblemError(
    'job.not_held',
    `${id} is not held under this token: the lease ended, the job was cancelled or is at its end. Stop working on it.`,
  )
}

function partitionOf({ partitions }: WorkerDeps, id: string): Partition {
  const parts = parseId(id)
  const partition = parts?.prefix === 'job' ? partitions.byNumber(parts.partition) : undefined
  if (!partition) throw new ProblemError('job.unknown', `"${id}" is not the id of a job.`)
  return partition
}

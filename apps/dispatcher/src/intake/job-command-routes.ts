import { cancelRequestSchema, ProblemError, parseId, problemSchema, rescheduleRequestSchema } from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { cancel, findJob, type JobPlace, type Partition, reschedule } from '@millrace/streams'
import { z } from 'zod'
import { type JobEndDeps, reportEnd } from '../job-ends.ts'
import { explain } from './explain.ts'
import { type ExplainDeps, explainContext } from './explain-context.ts'

export type JobCommandDeps = JobEndDeps & ExplainDeps

const params = z.object({ id: z.string() })
const reasonSchema = z.object({ code: z.string(), detail: z.string() })

/** `POST /jobs/{id}/cancel`, `POST /jobs/{id}/reschedule`, `GET /jobs/{id}/explain`. */
export function addJobCommandRoutes(server: AppServer, deps: JobCommandDeps): void {
  server.post(
    '/jobs/:id/cancel',
    {
      schema: {
        summary: 'Cancel a waiting, scheduled or running job',
        params,
        body: cancelRequestSchema,
        response: {
          200: z.object({ id: z.string(), result: z.literal('cancelled') }),
          202: z
            .object({ id: z.string(), result: z.literal('cancelling') })
            .describe('it runs: its request is being ended'),
          404: problemSchema,
          409: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { who, why } = request.body
      const result = await cancel(partitionOf(deps, id), { id, by: { who, why } })
      if (result.kind === 'unknown') throw unknownJob(id)
      if (result.kind === 'dead')
        throw new ProblemError('job.not_waiting', `${id} is a dead letter already; there is nothing left to cancel.`)
      if (result.kind === 'cancelling') return reply.status(202).send({ id, result: result.kind })
      reportEnd(deps, { address: result.address, jobId: id, outcome: 'cancelled' })
      return reply.send({ id, result: result.kind })
    },
  )

  server.post(
    '/jobs/:id/reschedule',
    {
      schema: {
        summary: 'Give a scheduled job another time; delayMs 0 runs it now',
        params,
        body: rescheduleRequestSchema,
        response: {
          200: z.object({ id: z.string(), dueAt: z.iso.datetime() }),
          404: problemSchema,
          409: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { id } = request.params
      const { runAt, delayMs = 0, who, why } = request.body
      const due = runAt === undefined ? { inMs: delayMs } : { atMs: Date.parse(runAt) }
      const result = await reschedule(partitionOf(deps, id), {
        id,
        due,
        by: { who, ...(why !== undefined && { why }) },
      })
      if (result.kind === 'rescheduled') return { id, dueAt: new Date(result.dueMs).toISOString() }
      if (result.kind === 'unknown') throw unknownJob(id)
      throw new ProblemError('job.not_waiting', `${id} waits for no time: it is ${result.kind}.`)
    },
  )

  server.get(
    '/jobs/:id/explain',
    {
      schema: {
        summary: 'Why a job is not running now',
        params,
        response: {
          200: z.object({ id: z.string(), state: z.string(), queue: z.string(), reasons: z.array(reasonSchema) }),
          404: problemSchema,
        },
      },
    },
    async (request) => {
      const { id } = request.params
      const place = await findJob(partitionOf(deps, id), id)
      if (!place) throw unknownJob(id)
      const reasons = explain(place, await explainContext(deps, place))
      return { id, state: stateOf(place), queue: place.address, reasons }
    },
  )
}

/** Held behind its key or in a lane: it waits. */
function stateOf({ state }: JobPlace): string {
  return state === 'held' ? 'waiting' : state
}

function partitionOf({ partitions }: JobCommandDeps, id: string): Partition {
  const parts = parseId(id)
  const partition = parts?.prefix === 'job' ? partitions.byNumber(parts.partition) : undefined
  if (!partition) throw new ProblemError('job.unknown', `"${id}" is not the id of a job. POST /jobs answers with one.`)
  return partition
}

function unknownJob(id: string): ProblemError {
  return new ProblemError(
    'job.unknown',
    `${id} is not waiting, scheduled or running: it is at its end, or never was. The audit app knows: GET /v1/jobs/${id}.`,
  )
}

import { randomBytes } from 'node:crypto'
import {
  backfillRequestSchema,
  backfillSchema,
  bySchema,
  nextPageSchema,
  ProblemError,
  problemSchema,
  wholePageSchema,
} from '@millrace/contracts'
import type { BackfillState } from '@millrace/engine'
import { type AppServer, type ListOrder, pageOf } from '@millrace/runtime'
import type { Partitions, RegistryView } from '@millrace/streams'
import { z } from 'zod'
import { beginBackfill, findBackfill, listBackfills, stopKnown, toBackfill } from '../backfill-store.ts'
import { findSchedule } from '../schedules.ts'
import { byOf, scheduleParams } from './run-routes.ts'

export interface BackfillRouteDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly keep: number
  /** A backfill began: there is something to do. */
  onBegun(): void
}

const params = scheduleParams.extend({ id: z.string() })

/** `POST|GET /schedules/{ns}/{name}/backfills`, `GET …/{id}`, `POST …/{id}/stop`. */
export function addBackfillRoutes(server: AppServer, deps: BackfillRouteDeps): void {
  server.post(
    '/schedules/:namespace/:name/backfills',
    {
      schema: {
        summary: 'Fire the nominal times of a range that have not fired',
        params: scheduleParams,
        body: backfillRequestSchema,
        response: {
          200: backfillSchema,
          202: backfillSchema,
          404: problemSchema,
          409: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const schedule = await findSchedule(deps, request.params)
      const id = request.body.backfillId ?? `bf_${randomBytes(8).toString('hex')}`
      const by = byOf(request.body)
      const { begun, state } = await beginBackfill(schedule, { request: request.body, id, by, keep: deps.keep })
      if (begun) deps.onBegun()
      return reply.status(begun ? 202 : 200).send(toBackfill(state))
    },
  )

  server.get(
    '/schedules/:namespace/:name/backfills',
    {
      schema: {
        summary: 'Backfills of a schedule, the newest first',
        params: scheduleParams,
        querystring: wholePageSchema,
        response: {
          200: z.object({ backfills: z.array(backfillSchema), ...nextPageSchema }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const schedule = await findSchedule(deps, request.params)
      const { items, ...next } = pageOf(await listBackfills(schedule), newestFirst(schedule.address), request.query)
      return { backfills: items.map(toBackfill), ...next }
    },
  )

  server.get(
    '/schedules/:namespace/:name/backfills/:id',
    { schema: { summary: 'How far a backfill is', params, response: { 200: backfillSchema, 404: problemSchema } } },
    async (request) => {
      const schedule = await findSchedule(deps, request.params)
      const known = await findBackfill(schedule, request.params.id)
      if (known) return toBackfill(known.state)
      throw new ProblemError(
        'backfill.unknown',
        `Schedule "${schedule.address}" has no backfill "${request.params.id}"; 30 days after its end one is forgotten.`,
      )
    },
  )

  server.post(
    '/schedules/:namespace/:name/backfills/:id/stop',
    {
      schema: {
        summary: 'Stop a backfill; what it fired stays fired',
        params,
        body: z.strictObject(bySchema),
        response: { 200: backfillSchema, 404: problemSchema },
      },
    },
    async (request) => {
      const schedule = await findSchedule(deps, request.params)
      const by = byOf(request.body)
      return toBackfill(await stopKnown(schedule, { id: request.params.id, by, keep: deps.keep }))
    },
  )
}

/** The name of the list has the schedule in it: by its time a backfill of another one would be taken for a place in this. */
function newestFirst(address: string): ListOrder<BackfillState> {
  return { list: `backfills ${address}`, keyOf: ({ startedAt, id }) => [startedAt, id], descending: true }
}

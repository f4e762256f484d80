import {
  nameSchema,
  namespaceSchema,
  ProblemError,
  pausedSchema,
  problemSchema,
  schedulePauseSchema,
  triggerRequestSchema,
} from '@millrace/contracts'
import { cronText, traceOf } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import { type By, type Partitions, pauseSchedule, type RegistryView, storeTime } from '@millrace/streams'
import { z } from 'zod'
import { findSchedule, schedulesOf } from '../schedules.ts'
import { runNow, type TriggerDeps } from '../trigger.ts'

export interface RunRouteDeps extends TriggerDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly production: boolean
}

export const scheduleParams = z.object({ namespace: namespaceSchema, name: nameSchema })

/** Who asks, as the scripts take it. */
export function byOf({ who, why }: { who: string; why?: string | undefined }): By {
  return { who, ...(why !== undefined && { why }) }
}

/** `POST /schedules/{ns}/{name}/trigger|pause|resume`, and outside production `GET /__scheduled?cron=…`. */
export function addRunRoutes(server: AppServer, deps: RunRouteDeps): void {
  const fired = z.object({ id: z.string(), tickId: z.string() })
  server.post(
    '/schedules/:namespace/:name/trigger',
    {
      schema: {
        summary: 'Run a schedule now, besides its plan',
        params: scheduleParams,
        headers: z.object({
          'idempotency-key': z.string().min(1).max(255).optional().describe('as in the body'),
          traceparent: z.string().optional(),
          tracestate: z.string().optional(),
        }),
        body: triggerRequestSchema,
        response: { 200: fired, 202: fired, 404: problemSchema },
      },
    },
    async (request, reply) => {
      const schedule = await findSchedule(deps, request.params)
      const { who, why, idempotencyKey = request.headers['idempotency-key'] } = request.body
      const carrier = traceOf(request.headers)
      const { replayed, ...run } = await runNow(schedule, { who, why, idempotencyKey, carrier }, deps)
      return reply.status(replayed ? 200 : 202).send(run)
    },
  )
  addPauseRoute(server, deps, 'pause')
  addPauseRoute(server, deps, 'resume')
  if (deps.production) return

  server.get(
    '/__scheduled',
    {
      schema: {
        summary: 'Fire every schedule that has this cron now (not in production)',
        querystring: z.strictObject({ cron: z.string() }),
        response: { 202: z.object({ fired: z.array(fired) }), 404: problemSchema },
      },
    },
    async (request, reply) => {
      const { cron } = request.query
      const asked = cronText(cron)
      const find = () => schedulesOf(deps.registry, deps.partitions).filter(({ rule }) => cronText(rule.cron) === asked)
      let matching = find()
      if (matching.length === 0) {
        // It may have been applied a moment ago.
        await deps.registry.refresh()
        matching = find()
      }
      if (matching.length === 0)
        throw new ProblemError(
          'schedule.unknown',
          `No schedule has the cron expression "${cron}". GET /schedules lists them.`,
        )
      const runs = await Promise.all(matching.map((schedule) => runNow(schedule, { who: 'local test' }, deps)))
      return reply.status(202).send({ fired: runs.map(({ id, tickId }) => ({ id, tickId })) })
    },
  )
}

function addPauseRoute(server: AppServer, deps: RunRouteDeps, action: 'pause' | 'resume'): void {
  server.post(
    `/schedules/:namespace/:name/${action}`,
    {
      schema: {
        summary: action === 'pause' ? 'Skip nominal times until it is resumed' : 'Fire again',
        params: scheduleParams,
        body: schedulePauseSchema,
        response: {
          200: z.object({ result: z.enum(['paused', 'resumed', 'unchanged']), paused: pausedSchema.optional() }),
          404: problemSchema,
          409: problemSchema,
        },
      },
    },
    async (request) => {
      const { address, partition, declared } = await findSchedule(deps, request.params)
      if (action === 'resume' && declared.paused)
        throw new ProblemError(
          'schedule.declared_paused',
          `The manifest says "paused: true" of ${address}; take it out there and apply it.`,
        )
      const by = byOf(request.body)
      const at = new Date(await storeTime(partition)).toISOString()
      const result = await pauseSchedule(partition, { action, address, by, at })
      if (result === 'unknown')
        throw new ProblemError('schedule.unknown', `Schedule "${address}" is not planned yet. Try again in a second.`)
      return { result, ...(result === 'paused' && { paused: { ...by, at } }) }
    },
  )
}

import { randomBytes } from 'node:crypto'
import { nameSchema, namespaceSchema, ProblemError, problemSchema } from '@millrace/contracts'
import { validTraceparent } from '@millrace/engine'
import type { AppServer, Clock } from '@millrace/runtime'
import { type Partitions, type RegistryView, tick } from '@millrace/streams'
import { z } from 'zod'
import type { SchedulerMetrics } from './metrics.ts'
import { type Schedule, schedulesOf, schedulesOfService } from './schedules.ts'
import { tickData } from './tick-data.ts'

export interface RouteDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: SchedulerMetrics
  readonly clock: Clock
  readonly production: boolean
}

const scheduleView = z.object({
  namespace: z.string(),
  name: z.string(),
  cron: z.string(),
  timezone: z.string(),
  endpoint: z.string(),
  description: z.string().optional(),
  nextAt: z.iso.datetime().optional(),
})

/** `GET /schedules`, `POST /schedules/{ns}/{name}/trigger`, and outside production `GET /__scheduled?cron=…`. */
export function addScheduleRoutes(server: AppServer, deps: RouteDeps): void {
  server.get(
    '/schedules',
    {
      schema: {
        summary: 'Schedules with their next nominal time',
        response: { 200: z.object({ schedules: z.array(scheduleView) }) },
      },
    },
    async () => ({
      schedules: await Promise.all(schedulesOf(deps.registry, deps.partitions).map(view)),
    }),
  )

  server.post(
    '/schedules/:namespace/:name/trigger',
    {
      schema: {
        summary: 'Run a schedule now, besides its plan',
        params: z.object({ namespace: namespaceSchema, name: nameSchema }),
        body: z.strictObject({
          who: z.string().min(1).max(200).optional(),
          why: z.string().min(1).max(1000).optional(),
        }),
        response: { 202: z.object({ id: z.string(), tickId: z.string() }), 404: problemSchema },
      },
    },
    async (request, reply) => {
      const { namespace, name } = request.params
      const schedule = await findSchedule(deps, namespace, name)
      const traceparent = validTraceparent(request.headers.traceparent as string | undefined)
      return reply.status(202).send(await runNow(schedule, { ...request.body, traceparent }, deps))
    },
  )

  if (deps.production) return
  server.get(
    '/__scheduled',
    {
      schema: {
        summary: 'Fire every schedule that has this cron now (not in production)',
        querystring: z.strictObject({ cron: z.string() }),
        response: {
          202: z.object({ fired: z.array(z.object({ id: z.string(), tickId: z.string() })) }),
          404: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const { cron } = request.query
      const matching = schedulesOf(deps.registry, deps.partitions).filter(({ rule }) => rule.cron === cron)
      if (matching.length === 0)
        throw new ProblemError(
          'schedule.unknown',
          `No schedule has the cron expression "${cron}". GET /schedules lists them.`,
        )
      const fired = await Promise.all(matching.map((schedule) => runNow(schedule, { who: 'local test' }, deps)))
      return reply.status(202).send({ fired })
    },
  )
}

async function view({ namespace, name, address, partition, rule, definition }: Schedule) {
  const next = await partition.redis.zscore(partition.keys.ticks, address)
  return {
    namespace,
    name,
    cron: rule.cron,
    timezone: rule.timezone,
    endpoint: definition.endpoint ?? '',
    ...(definition.description !== undefined && { description: definition.description }),
    ...(next !== null && { nextAt: new Date(Number(next)).toISOString() }),
  }
}

async function findSchedule({ registry, partitions }: RouteDeps, namespace: string, name: string): Promise<Schedule> {
  const find = () => {
    const service = registry.service(namespace)
    return service && schedulesOfService(service, partitions).find((schedule) => schedule.name === name)
  }
  const known = find()
  if (known) return known
  await registry.refresh()
  const schedule = find()
  if (schedule) return schedule
  if (!registry.service(namespace))
    throw new ProblemError('service.unknown', `No service "${namespace}" is registered.`)
  const names = schedulesOf(registry, partitions).filter((other) => other.namespace === namespace)
  throw new ProblemError(
    'schedule.unknown',
    `Service "${namespace}" has no schedule "${name}". It declares: ${names.map((other) => other.name).join(', ') || 'none'}.`,
  )
}

interface RunNow {
  readonly who?: string | undefined
  readonly why?: string | undefined
  readonly traceparent?: string | undefined
}

async function runNow(
  schedule: Schedule,
  { who = 'api', why, traceparent }: RunNow,
  { metrics, clock }: RouteDeps,
): Promise<{ id: string; tickId: string }> {
  const nowMs = clock.now()
  // By hand there is no nominal time that two schedulers could both see, so each run has a name of its own.
  const tickId = `${schedule.namespace}/${schedule.name}@${new Date(nowMs).toISOString()}+${randomBytes(4).toString('hex')}`
  const result = await tick(schedule.partition, {
    address: schedule.address,
    data: tickData(schedule, { nominalMs: nowMs, firedMs: nowMs, id: tickId }),
    event: { tickId, who, ...(why !== undefined && { why }) },
    ...(traceparent !== undefined && { meta: { traceparent } }),
  })
  if (result.kind !== 'fired') {
    throw new ProblemError('schedule.unknown', `Schedule "${schedule.address}" is no longer declared.`)
  }
  metrics.ticks.inc({ namespace: schedule.namespace, schedule: schedule.name, result: 'triggered' })
  return { id: result.id, tickId }
}

import { namespaceSchema, problemSchema, type ScheduleView, scheduleViewSchema } from '@millrace/contracts'
import { describeRule } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import {
  type Partition,
  type Partitions,
  type RegistryView,
  readLastSuccesses,
  readPlans,
  readSchedulePauses,
} from '@millrace/streams'
import { z } from 'zod'
import { type Schedule, schedulesIn, schedulesOf } from '../schedules.ts'

export interface ScheduleRouteDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
}

/** `GET /schedules`. */
export function addScheduleRoutes(server: AppServer, { registry, partitions }: ScheduleRouteDeps): void {
  server.get(
    '/schedules',
    {
      schema: {
        summary: 'Schedules with their next nominal time',
        querystring: z.strictObject({ namespace: namespaceSchema.optional() }),
        response: { 200: z.object({ schedules: z.array(scheduleViewSchema) }), 404: problemSchema },
      },
    },
    async (request) => {
      const { namespace } = request.query
      const schedules =
        namespace === undefined
          ? schedulesOf(registry, partitions)
          : await schedulesIn({ registry, partitions }, namespace)
      const views = await Promise.all(
        partitions.all.map((partition) =>
          viewsOf(
            partition,
            schedules.filter((schedule) => schedule.partition === partition),
          ),
        ),
      )
      return { schedules: views.flat() }
    },
  )
}

async function viewsOf(partition: Partition, schedules: Schedule[]): Promise<ScheduleView[]> {
  if (schedules.length === 0) return []
  const [plans, successes, pauses] = await Promise.all([
    readPlans(partition),
    readLastSuccesses(partition),
    readSchedulePauses(partition),
  ])
  return schedules.map(({ namespace, name, address, rule, declared, definition }) => {
    const plan = plans.get(address)
    const success = successes.get(address)
    const paused = pauses.get(address) ?? (declared.paused ? { who: 'manifest' } : undefined)
    return {
      ...{ namespace, name, cron: rule.cron, timezone: rule.timezone, reading: describeRule(rule) },
      endpoint: definition.endpoint ?? '',
      ...(definition.description !== undefined && { description: definition.description }),
      overlap: declared.overlap ?? 'allow',
      ...(plan?.nominalMs !== undefined && { nextAt: isoOf(plan.nominalMs), tzdata: plan.tz }),
      ...(success !== undefined && { lastSuccessAt: isoOf(success) }),
      ...(paused && { paused }),
    }
  })
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

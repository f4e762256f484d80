import {
  namespaceSchema,
  nextPageSchema,
  problemSchema,
  type ScheduleView,
  scheduleViewSchema,
  wholePageSchema,
} from '@millrace/contracts'
import { describeRule } from '@millrace/engine'
import { type AppServer, type ListOrder, pageOf } from '@millrace/runtime'
import {
  type Partition,
  type Partitions,
  type RegistryView,
  readLastSuccesses,
  readPlans,
  readSchedulePauses,
} from '@millrace/streams'
import { z } from 'zod'
import { type Schedule, schedulesIn } from '../schedules.ts'

export interface ScheduleRouteDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
}

const BY_NAME: ListOrder<Schedule> = { list: 'schedules', keyOf: ({ namespace, name }) => [namespace, name] }

/** `GET /schedules`. */
export function addScheduleRoutes(server: AppServer, { registry, partitions }: ScheduleRouteDeps): void {
  server.get(
    '/schedules',
    {
      schema: {
        summary: 'Schedules with their next nominal time, by namespace and name',
        querystring: wholePageSchema.extend({ namespace: namespaceSchema.optional() }),
        response: {
          200: z.object({ schedules: z.array(scheduleViewSchema), ...nextPageSchema }),
          404: problemSchema,
          422: problemSchema,
        },
      },
    },
    async (request) => {
      const { namespace, ...asked } = request.query
      const found = await schedulesIn({ registry, partitions }, namespace)
      const { items: schedules, ...next } = pageOf(found, BY_NAME, asked)
      const views = await Promise.all(
        partitions.all.map((partition) =>
          viewsOf(
            partition,
            schedules.filter((schedule) => schedule.partition === partition),
          ),
        ),
      )
      const byAddress = new Map(views.flat())
      return { schedules: schedules.map(({ address }) => byAddress.get(address) as ScheduleView), ...next }
    },
  )
}

async function viewsOf(partition: Partition, schedules: Schedule[]): Promise<(readonly [string, ScheduleView])[]> {
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
    const view = {
      ...{ namespace, name, cron: rule.cron, timezone: rule.timezone, reading: describeRule(rule) },
      endpoint: definition.endpoint ?? '',
      ...(definition.description !== undefined && { description: definition.description }),
      overlap: declared.overlap ?? 'allow',
      ...(plan?.nominalMs !== undefined && { nextAt: isoOf(plan.nominalMs), tzdata: plan.tz }),
      ...(success !== undefined && { lastSuccessAt: isoOf(success) }),
      ...(paused && { paused }),
    }
    return [address, view] as const
  })
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

import { nextNominalTime } from '@millrace/engine'
import type { Clock, Logger } from '@millrace/runtime'
import { limitsOf, openQueues, type Partitions, plan, type RegistryView, splitAddress } from '@millrace/streams'
import type { SchedulerMetrics } from './metrics.ts'
import { ruleOf, type Schedule, schedulesOf } from './schedules.ts'

export interface PlannerDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: SchedulerMetrics
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Bring the planned ticks in line with the registry: plan what is new or has another rule, remove what is no longer
 * declared. Any number of schedulers may do it at any time; the `plan` script changes nothing that is right already.
 */
export async function planAll(deps: PlannerDeps): Promise<void> {
  const { registry, partitions, metrics, logger } = deps
  const schedules = schedulesOf(registry, partitions)
  const planned = []
  for (const schedule of schedules) planned.push({ schedule, nextMs: await planOne(schedule, deps) })
  // All at once, so that what is no longer declared leaves no time behind that looks overdue.
  metrics.next.reset()
  for (const { schedule, nextMs } of planned) {
    metrics.next.set({ namespace: schedule.namespace, schedule: schedule.name }, nextMs / 1000)
  }
  const declared = new Set(schedules.map(({ address }) => address))
  for (const partition of partitions.all) {
    for (const address of await partition.redis.hkeys(partition.keys.schedules)) {
      // A namespace that this view has not seen yet is not one that was removed.
      if (declared.has(address) || !registry.service(splitAddress(address).namespace)) continue
      if ((await plan(partition, { address })) === 'removed')
        logger.info({ event: 'schedule.removed', schedule: address }, 'schedule removed')
    }
  }
}

/** Resolves with the next nominal time that stands, in ms; 0 when there is none. */
async function planOne(schedule: Schedule, { clock, logger }: PlannerDeps): Promise<number> {
  const { partition, address, rule } = schedule
  await openQueues(partition, [{ address, limits: limitsOf(schedule.definition) }])
  const nextMs = nextNominalTime(rule, clock.now())
  const result = await plan(partition, { address, rule: ruleOf(schedule), ...(nextMs !== undefined && { nextMs }) })
  if (result === 'planned')
    logger.info(
      {
        event: 'schedule.planned',
        schedule: address,
        cron: rule.cron,
        timezone: rule.timezone,
        nextAt: nextMs && new Date(nextMs).toISOString(),
      },
      'schedule planned',
    )
  return Number((await partition.redis.zscore(partition.keys.ticks, address)) ?? 0)
}

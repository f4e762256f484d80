import { nextNominalTime } from '@millrace/engine'
import type { Clock, Logger } from '@millrace/runtime'
import { openQueues, type Partitions, plan, type RegistryView, splitAddress } from '@millrace/streams'
import { ruleOf, type Schedule, schedulesOf } from './schedules.ts'

export interface PlannerDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Bring the planned ticks in line with the registry: plan what is new or has another rule, remove what is no longer
 * declared. Any number of schedulers may do it at any time; the `plan` script changes nothing that is right already.
 */
export async function planAll({ registry, partitions, clock, logger }: PlannerDeps): Promise<void> {
  const schedules = schedulesOf(registry, partitions)
  for (const schedule of schedules) await planOne(schedule, clock, logger)
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

async function planOne(schedule: Schedule, clock: Clock, logger: Logger): Promise<void> {
  const { partition, address, rule } = schedule
  await openQueues(partition, [address])
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
}

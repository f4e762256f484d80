import { ProblemError, type QueueDefinition, queueAddress, type Service } from '@millrace/contracts'
import { type DueRule, ruleText } from '@millrace/engine'
import { fullAddress, type Partition, type Partitions, type RegistryView } from '@millrace/streams'

type ScheduleDefinition = NonNullable<QueueDefinition['schedule']>

/** A declared schedule with the place that its ticks live in. */
export interface Schedule {
  readonly namespace: string
  readonly name: string
  readonly address: string
  readonly partition: Partition
  readonly definition: QueueDefinition
  /** What the manifest says about its time. */
  readonly declared: ScheduleDefinition
  readonly rule: DueRule
  /** The rule as it is compared and stored. */
  readonly ruleText: string
}

export function schedulesOf(registry: RegistryView, partitions: Partitions): Schedule[] {
  return registry.services().flatMap((service) => schedulesOfService(service, partitions))
}

/** The schedules of one namespace, or of all. The registry is asked anew before it is said that there is no such service. */
export async function schedulesIn(
  { registry, partitions }: { registry: RegistryView; partitions: Partitions },
  namespace: string | undefined,
): Promise<Schedule[]> {
  if (namespace === undefined) return schedulesOf(registry, partitions)
  if (!registry.service(namespace)) await registry.refresh()
  const service = registry.service(namespace)
  if (!service) throw unknownService(namespace)
  return schedulesOfService(service, partitions)
}

function schedulesOfService({ namespace, queues }: Service, partitions: Partitions): Schedule[] {
  return queues.flatMap((definition) => {
    const declared = definition.schedule
    if (!declared) return []
    const address = fullAddress(namespace, queueAddress('schedule', definition.name))
    const rule = { address, ...declared }
    const partition = partitions.of(address)
    const { name } = definition
    return [{ namespace, name, address, partition, definition, declared, rule, ruleText: ruleText(rule) }]
  })
}

/** Find a schedule, asking the registry anew before saying that there is none. */
export async function findSchedule(
  { registry, partitions }: { registry: RegistryView; partitions: Partitions },
  { namespace, name }: { namespace: string; name: string },
): Promise<Schedule> {
  const find = () => {
    const service = registry.service(namespace)
    return service && schedulesOfService(service, partitions).find((schedule) => schedule.name === name)
  }
  const known = find()
  if (known) return known
  await registry.refresh()
  const schedule = find()
  if (schedule) return schedule
  if (!registry.service(namespace)) throw unknownService(namespace)
  const names = schedulesOf(registry, partitions).filter((other) => other.namespace === namespace)
  throw new ProblemError(
    'schedule.unknown',
    `Service "${namespace}" has no schedule "${name}". It declares: ${names.map((other) => other.name).join(', ') || 'none'}.`,
  )
}

function unknownService(namespace: string): ProblemError {
  return new ProblemError('service.unknown', `No service "${namespace}" is registered.`)
}

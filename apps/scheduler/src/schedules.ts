import { type QueueDefinition, queueAddress, type Service } from '@millrace/contracts'
import { type CronRule, ruleText } from '@millrace/engine'
import { fullAddress, type Partition, type Partitions, type RegistryView } from '@millrace/streams'

/** A declared schedule with the place that its ticks live in. */
export interface Schedule {
  readonly namespace: string
  readonly name: string
  readonly address: string
  readonly partition: Partition
  readonly definition: QueueDefinition
  readonly rule: CronRule
}

export function schedulesOf(registry: RegistryView, partitions: Partitions): Schedule[] {
  return registry.services().flatMap((service) => schedulesOfService(service, partitions))
}

export function schedulesOfService({ namespace, queues }: Service, partitions: Partitions): Schedule[] {
  return queues.flatMap((definition) => {
    if (!definition.schedule) return []
    const address = fullAddress(namespace, queueAddress('schedule', definition.name))
    return [
      {
        namespace,
        name: definition.name,
        address,
        partition: partitions.of(address),
        definition,
        rule: definition.schedule,
      },
    ]
  })
}

export function ruleOf({ rule }: Schedule): string {
  return ruleText(rule)
}

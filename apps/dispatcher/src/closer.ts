import { queueAddress, type Service } from '@millrace/contracts'
import { withoutClosed } from '@millrace/engine'
import { type Clock, type Loop, startLoop } from '@millrace/runtime'
import {
  changeService,
  closeQueue,
  declaredQueues,
  fullAddress,
  type Partition,
  type Partitions,
  type RegistryView,
} from '@millrace/streams'
import { placeOf } from './delivery/attempt.ts'
import type { Sender } from './delivery/sender.ts'
import type { TargetPolicy } from './targets/open-ranges.ts'

const CLOSE_SWEEP_MS = 2000

export interface CloserDeps {
  readonly registry: RegistryView
  readonly registryPartition: Partition
  readonly partitions: Partitions
  readonly clock: Clock
  readonly sender: Pick<Sender, 'keepOnly'>
  readonly targets: TargetPolicy
  onError(error: unknown): void
}

/**
 * Close queues that are no longer declared, once they are empty, and connections to origins that no service has (any more). The queue is closed first and the registry told after:
 * a crash between the two finds it `unknown` next time and tells the registry then.
 */
export function startCloser({
  registry,
  registryPartition,
  partitions,
  clock,
  sender,
  targets,
  onError,
}: CloserDeps): Loop {
  return startLoop({
    name: 'closer',
    intervalMs: CLOSE_SWEEP_MS,
    onError,
    async run() {
      sender.keepOnly(registry.services().flatMap((service) => placesOf(service, targets)))
      for (const service of registry.services()) {
        for (const queue of service.closing) {
          const address = queueAddress(queue.kind, queue.name)
          const full = fullAddress(service.namespace, address)
          // A partition that is away keeps only its own queues from being closed.
          await close(service, { address, full }).catch(onError)
        }
      }
      return undefined
    },
  })

  async function close(service: Service, { address, full }: { address: string; full: string }): Promise<void> {
    if ((await closeQueue(partitions.of(full), full)) !== 'busy') await strike(service, address)
  }

  async function strike({ namespace }: Service, address: string): Promise<void> {
    await changeService(registryPartition, namespace, (read) => {
      const current = read as Service
      // Another dispatcher struck it already, or it was declared again meanwhile.
      const isClosing = current.closing.some(({ kind, name }) => queueAddress(kind, name) === address)
      if (!isClosing) return { service: current }
      const service = { ...withoutClosed(current, address), appliedAt: new Date(clock.now()).toISOString() }
      const { version, url } = service
      return { service, event: { version, url, who: 'dispatcher', why: `queue ${address} is drained and closed` } }
    })
  }
}

/** Where the queues of a service are delivered, those that are being drained included. */
function placesOf(service: Service, targets: TargetPolicy) {
  const queues = [...declaredQueues(service), ...service.closing]
  return queues.map((definition) => placeOf(definition, service.url, targets.of(service.namespace)))
}

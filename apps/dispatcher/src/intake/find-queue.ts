import { ProblemError, type QueueDefinition, queueAddress, type Service } from '@millrace/contracts'
import { queuesOf, type RegistryView, splitAddress } from '@millrace/streams'

/** The service of a namespace; looked up in Redis once more before it is called unknown. */
export async function findService(registry: RegistryView, namespace: string): Promise<Service> {
  const known = registry.service(namespace)
  if (known) return known
  // It may have been applied through another dispatcher a moment ago.
  await registry.refresh()
  const service = registry.service(namespace)
  if (service) return service
  throw new ProblemError(
    'service.unknown',
    `No service "${namespace}" is registered. Apply its catalog-info.yaml first: PUT /services/${namespace}.`,
  )
}

/** A queue that takes jobs, if this process knows of it. */
export function knownQueue(registry: RegistryView, namespace: string, name: string): QueueDefinition | undefined {
  const service = registry.service(namespace)
  return service && find(service.queues, name)
}

/** A queue that takes jobs. */
export async function findQueue(registry: RegistryView, namespace: string, name: string): Promise<QueueDefinition> {
  const service = await findService(registry, namespace)
  const declared = find(service.queues, name)
  if (declared) return declared
  await registry.refresh()
  const current = registry.service(namespace) as Service
  const found = find(current.queues, name)
  if (found) return found
  if (find(current.closing, name)) {
    throw new ProblemError(
      'queue.closing',
      `Queue "${name}" of ${namespace} is no longer declared; it is being drained and takes no new jobs.`,
    )
  }
  const names = current.queues.filter(({ kind }) => kind === 'queue').map((queue) => queue.name)
  throw new ProblemError(
    'queue.unknown',
    `Service "${namespace}" has no queue "${name}". It declares: ${names.join(', ') || 'none'}.`,
  )
}

/** The queue at an address, be it one of jobs or of ticks; one that is being drained still counts. */
export async function findDeclared(registry: RegistryView, address: string): Promise<QueueDefinition> {
  const { namespace, queue } = splitAddress(address)
  const service = await findService(registry, namespace)
  const found = queuesOf(service).find(({ definition }) => queueAddress(definition.kind, definition.name) === queue)
  if (found) return found.definition
  throw new ProblemError('queue.unknown', `Service "${namespace}" has no queue "${queue}" (any more).`)
}

function find(queues: readonly QueueDefinition[], name: string): QueueDefinition | undefined {
  return queues.find((queue) => queue.kind === 'queue' && queue.name === name)
}

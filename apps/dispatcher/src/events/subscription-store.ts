import {
  ProblemError,
  parseSubscriptionId,
  type QueueDefinition,
  type Service,
  STORE_LIMITS,
  subscriptionId,
} from '@millrace/contracts'
import { withoutSubscription, withSubscription } from '@millrace/engine'
import type { Clock } from '@millrace/runtime'
import {
  type By,
  changeService,
  declaredQueues,
  logEnds,
  type Partition,
  type Partitions,
  type RegistryView,
} from '@millrace/streams'
import { findService } from '../intake/find-queue.ts'
import type { ViewSource } from '../router/view-source.ts'

export interface SubscriptionStoreDeps {
  readonly registry: RegistryView
  readonly registryPartition: Partition
  readonly partitions: Partitions
  readonly clock: Clock
  readonly views: ViewSource
}

export interface Found {
  readonly service: Service
  readonly definition: QueueDefinition
}

/** A subscription by the id that the API gives it. */
export async function findSubscription(registry: RegistryView, id: string): Promise<Found> {
  const { namespace, name } = parseSubscriptionId(id) ?? { namespace: '', name: '' }
  const look = (): Found | undefined => {
    const service = registry.service(namespace)
    const definition = service && declaredQueues(service).find((queue) => queue.subscription && queue.name === name)
    return service && definition && { service, definition }
  }
  const known = look()
  if (known) return known
  await registry.refresh()
  const found = look()
  if (found) return found
  throw new ProblemError('subscription.unknown', `There is no subscription "${id}". GET /subscriptions lists them.`)
}

/** Throws ProblemError when a namespace has as many subscriptions as it may, however they were made. */
export function refuseTooMany(service: Service): void {
  const { value: most } = STORE_LIMITS.subscriptions
  if (declaredQueues(service).filter((queue) => queue.subscription).length < most) return
  const detail = `has ${most} subscriptions, which is the limit: end some, or use another namespace`
  throw new ProblemError('request.invalid', `"${service.namespace}" ${detail}.`, {
    errors: [{ pointer: '/config/namespace', detail }],
  })
}

type Change = 'make' | 'change' | 'remove'

interface Asked {
  readonly change: Change
  readonly by: By
  readonly definition?: QueueDefinition
}

/** Keep what was made through the API in the registry, beside what the manifest declares. */
export function createSubscriptionStore(deps: SubscriptionStoreDeps) {
  const { registry, registryPartition } = deps

  const check = (service: Service, name: string, change: Change) => {
    const id = subscriptionId(service.namespace, name)
    const declared = service.queues.some((queue) => queue.subscription && queue.name === name)
    if (declared) {
      throw new ProblemError(
        'subscription.declared',
        `"${id}" is declared in the manifest of ${service.namespace}: change it there and apply it.`,
      )
    }
    if (change === 'make') refuseTooMany(service)
    const made = service.subscriptions?.some((queue) => queue.name === name) ?? false
    if (made && change === 'make')
      throw new ProblemError(
        'subscription.exists',
        `There is a subscription "${id}": PUT /subscriptions/${id} changes it.`,
      )
    if (!made && change !== 'make')
      throw new ProblemError('subscription.unknown', `There is no subscription "${id}". GET /subscriptions lists them.`)
  }

  const store = async (namespace: string, name: string, { change, by, definition }: Asked) => {
    await findService(registry, namespace)
    const ends = await logEnds([...deps.partitions.all, registryPartition])
    const stamp = { who: by.who, at: new Date(deps.clock.now()).toISOString() }
    const { service } = await changeService(deps.registryPartition, namespace, (read) => {
      // A service is never taken out of the registry, and this one was there.
      const current = read as Service
      check(current, name, change)
      const service = definition
        ? withSubscription(current, definition, { ends, ...stamp })
        : withoutSubscription(current, name, stamp)
      const { version, url } = service
      if (service === current) return { service }
      return { service, event: { version, url, ...by, change: `${change} subscription ${name}` } }
    })
    await registry.refresh()
    // Once a change is answered, nothing more is matched as it was before; a new one begins where it was read to begin.
    if (change !== 'make') await deps.views.current(registry.revision())
    return service
  }

  return {
    put: (namespace: string, definition: QueueDefinition, asked: { change: 'make' | 'change'; by: By }) =>
      store(namespace, definition.name, { ...asked, definition }),
    remove: (namespace: string, name: string, by: By) => store(namespace, name, { change: 'remove', by }),
  }
}

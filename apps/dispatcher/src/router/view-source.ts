import { type Partition, type Partitions, type RegistryView, syncSubscriptions } from '@millrace/streams'
import { type Grants, type Subscription, type SubscriptionView, viewOf } from './subscription-view.ts'

export interface ViewSource {
  /** The subscriptions as every partition has been told of them, at this revision of the registry or a later one. */
  current(atLeast?: number): Promise<SubscriptionView>
  /** A partition knows of something newer. */
  outdated(): void
}

/**
 * Follows the registry for the router. A view is handed out only after every partition was told of it, so that whatever a
 * view does not know of yet is known to begin behind it.
 */
export function createViewSource({
  registry,
  partitions,
  grants,
}: {
  registry: RegistryView
  partitions: Partitions
  grants: Grants
}): ViewSource {
  let view: SubscriptionView | undefined
  let making: Promise<SubscriptionView> | undefined
  let changes = 0

  const make = async (): Promise<SubscriptionView> => {
    for (;;) {
      const seen = changes
      await registry.refresh()
      const next = viewOf(registry.services(), { revision: registry.revision(), partitions, grants })
      const told = await Promise.all(partitions.all.map((partition) => tell(partition, next)))
      if (!told.every((kind) => kind === 'synced')) continue
      view = seen === changes ? next : undefined
      return next
    }
  }
  const makeOnce = () => {
    making ??= make().finally(() => {
      making = undefined
    })
    return making
  }
  const outdated = () => {
    changes++
    view = undefined
  }
  registry.onChange(outdated)

  return {
    async current(atLeast = 0) {
      for (;;) {
        const known = view ?? (await makeOnce())
        if (known.revision >= atLeast) return known
        outdated()
      }
    },
    outdated,
  }
}

function tell(partition: Partition, { revision, all }: SubscriptionView): Promise<'synced' | 'stale'> {
  const here = all.filter((subscription) => subscription.partition === partition)
  return syncSubscriptions(partition, { revision, subscriptions: here.map(startOf) })
}

function startOf({ address, definition }: Subscription) {
  const { since, starts } = definition.subscription
  return { address, since, starts }
}

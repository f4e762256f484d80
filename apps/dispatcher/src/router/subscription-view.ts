import {
  type LogEvent,
  PLATFORM_EVENT_TYPES,
  type QueueDefinition,
  queueAddress,
  type Service,
  type SubscriptionSource,
} from '@millrace/contracts'
import {
  fitsTypes,
  indexSubscriptions,
  type LoggedEvent,
  MATCHES_ALL,
  type Matches,
  matcherOf,
  mayHear,
  orderKeyOf,
  type SubscriptionIndex,
  traceOf,
  unaskedTypes,
} from '@millrace/engine'
import { declaredQueues, fullAddress, type Partition, type Partitions, type PassOver } from '@millrace/streams'

/** A subscription as the router sees it. */
export interface Subscription {
  readonly namespace: string
  readonly definition: QueueDefinition & { readonly subscription: SubscriptionSource }
  readonly address: string
  /** Where its queue lives. */
  readonly partition: Partition
  readonly types: readonly string[]
  readonly matches: Matches
  /** Its types say all that it asks for, and nothing of an event has to be looked at to make a job of it. */
  readonly isByTypeAlone: boolean
  /** What of a log it never asks for. */
  readonly passOver: PassOver
}

/** Whose platform events a namespace may hear besides its own. */
export type Grants = Readonly<Record<string, readonly string[]>>

/** All subscriptions at one revision of the registry. */
export interface SubscriptionView {
  readonly revision: number
  readonly all: readonly Subscription[]
  readonly byAddress: ReadonlyMap<string, Subscription>
  readonly index: SubscriptionIndex<Subscription>
  /** What of a log none of them asks for. */
  readonly passOver: PassOver
  /** Whether an event, whose type fits already, becomes a job of a subscription. */
  accepts(subscription: Subscription, event: LogEvent, logged: () => LoggedEvent): boolean
}

export function viewOf(
  services: readonly Service[],
  { revision, partitions, grants }: { revision: number; partitions: Partitions; grants: Grants },
): SubscriptionView {
  const all = services.flatMap((service) =>
    declaredQueues(service).flatMap((definition) => toSubscription(service, definition, partitions)),
  )
  // What becomes of an alert is no news for any alert: two that listen to each other would never be still.
  const alerts = new Set(all.filter(({ types }) => hearsPlatform(types)).map(({ address }) => address))
  const index = indexSubscriptions(all)
  return {
    revision,
    all,
    byAddress: new Map(all.map((subscription) => [subscription.address, subscription])),
    index,
    passOver: passOver(index),
    accepts({ namespace, matches }, event, logged) {
      if (event.kind !== 'event') {
        if (event.kind === 'audit' || alerts.has(fullAddress(event.namespace, event.queue))) return false
        if (!mayHear(namespace, event.namespace, grants)) return false
      }
      return matches === MATCHES_ALL || matches(logged().attributes)
    },
  }
}

export function toSubscription(
  { namespace }: Pick<Service, 'namespace'>,
  definition: QueueDefinition,
  partitions: Partitions,
): Subscription[] {
  const { subscription } = definition
  if (!subscription) return []
  const address = fullAddress(namespace, queueAddress(definition.kind, definition.name))
  const { types } = subscription
  const matches = matcherOf(subscription)
  return [
    {
      namespace,
      definition: { ...definition, subscription },
      address,
      partition: partitions.of(address),
      types,
      matches,
      isByTypeAlone: matches === MATCHES_ALL && definition.keyConcurrency === undefined && !hearsPlatform(types),
      passOver: passOver(indexSubscriptions([subscription])),
    },
  ]
}

function passOver(index: SubscriptionIndex<unknown>): PassOver {
  return { kinds: ['audit'], types: unaskedTypes(index) }
}

/** What travels with the job of an event: whose line it stands in, and its trace. */
export function metaOf({ definition }: Subscription, logged: LoggedEvent, replay?: string): string {
  const hasKey = definition.keyConcurrency !== undefined
  if (!hasKey && replay === undefined && !logged.json.includes('"traceparent"')) return ''
  const { attributes } = logged
  const key = hasKey ? orderKeyOf(attributes) : undefined
  const text = (value: unknown) => (value === undefined ? undefined : String(value))
  const sent = traceOf({ traceparent: text(attributes.traceparent), tracestate: text(attributes.tracestate) })
  if (key === undefined && sent.traceparent === undefined && replay === undefined) return ''
  return JSON.stringify({
    ...sent,
    ...(key !== undefined && { key }),
    ...(replay !== undefined && { replay }),
  })
}

/** Whether one of these types may be a fact of the platform. */
export function hearsPlatform(types: readonly string[]): boolean {
  return PLATFORM_EVENT_TYPES.some((type) => fitsTypes(types, type))
}

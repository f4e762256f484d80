import { type QueueDefinition, queueAddress, type Service } from '@millrace/contracts'
import type { Declaration } from './manifest.ts'
import { type Positions, startPositions } from './subscription.ts'

export interface ApplyInput {
  readonly current?: Service
  readonly declaration: Declaration
  readonly url: string
  readonly who: string
  readonly at: string
  /** Where the log of each partition ends now: a new subscription begins there, unless it says otherwise. */
  readonly ends?: Positions
}

export type ApplyDecision =
  | { readonly kind: 'unchanged'; readonly service: Service }
  | { readonly kind: 'created' | 'changed'; readonly service: Service }

/** The service that applying a declaration leads to. Applying the same again changes nothing, not even the version. */
export function decideApply({ current, declaration, url, who, at, ends = {} }: ApplyInput): ApplyDecision {
  const { namespace, events, manifest } = declaration
  const version = (current?.version ?? 0) + 1
  // What was made through the API goes on from where it is when the manifest takes it over.
  const known = [...(current?.queues ?? []), ...(current?.subscriptions ?? [])]
  const declared = declaration.queues.filter(({ subscription }) => subscription)
  const queues = declaration.queues.map((queue) =>
    begin(queue, { known, version, ends, pointer: `/spec/subscriptions/${declared.indexOf(queue)}/startFrom` }),
  )
  const subscriptions = current?.subscriptions?.filter((made) => !queues.some((queue) => isSame(queue, made)))
  const closing = current ? stillToClose(current, [...queues, ...(subscriptions ?? [])]) : []
  const next: Service = {
    namespace,
    url,
    version,
    appliedAt: at,
    appliedBy: who,
    queues,
    ...(subscriptions && subscriptions.length > 0 && { subscriptions }),
    ...(events.length > 0 && { events }),
    closing,
    manifest,
  }
  if (current && sameContent(current, next)) return { kind: 'unchanged', service: current }
  return { kind: current ? 'changed' : 'created', service: next }
}

/** The subscriptions and schedules that were declared or made before and are no more: what is new for them is nobody's from now on. */
export function endedBy(current: Service | undefined, next: Service): QueueDefinition[] {
  const before = new Set([...(current?.queues ?? []), ...(current?.subscriptions ?? [])].map(addressOf))
  return next.closing.filter((queue) => queue.kind !== 'queue' && before.has(addressOf(queue)))
}

/** The service after one of its closing queues was found empty and closed. */
export function withoutClosed(service: Service, address: string): Service {
  return {
    ...service,
    version: service.version + 1,
    closing: service.closing.filter((queue) => addressOf(queue) !== address),
  }
}

/**
 * The service with a subscription that is not of its manifest, or with what was changed of the one of that name; the same
 * object where nothing was.
 */
export function withSubscription(
  service: Service,
  queue: QueueDefinition,
  { ends, who, at }: { ends: Positions; who: string; at: string },
): Service {
  const version = service.version + 1
  const begun = begin(queue, { known: service.subscriptions, version, ends, pointer: '/config/startFrom' })
  const known = service.subscriptions?.find((made) => isSame(made, queue))
  if (known && JSON.stringify(known) === JSON.stringify(begun)) return service
  const others = (service.subscriptions ?? []).filter((made) => made !== known)
  const closing = service.closing.filter((old) => !isSame(old, queue))
  return { ...service, version, appliedAt: at, appliedBy: who, subscriptions: [...others, begun], closing }
}

/** The service without a subscription that was made through the API: what is in its queue is still delivered. */
export function withoutSubscription(service: Service, name: string, { who, at }: { who: string; at: string }): Service {
  const made = service.subscriptions ?? []
  return {
    ...service,
    version: service.version + 1,
    appliedAt: at,
    appliedBy: who,
    subscriptions: made.filter((queue) => queue.name !== name),
    closing: [...service.closing, ...made.filter((queue) => queue.name === name)],
  }
}

interface Beginning {
  readonly known: readonly QueueDefinition[] | undefined
  readonly version: number
  readonly ends: Positions
  /** Where it says so, for what is wrong with it. */
  readonly pointer: string
}

/** A subscription goes on from where it is; a new one begins where it says. `startFrom` has a meaning only then. */
function begin(queue: QueueDefinition, { known = [], version, ends, pointer }: Beginning): QueueDefinition {
  if (!queue.subscription) return queue
  const before = known.find((other) => isSame(other, queue))?.subscription
  const { startFrom } = queue.subscription
  const { since, starts } = before ?? { since: version, starts: startPositions(startFrom, ends, pointer) }
  return { ...queue, subscription: { ...queue.subscription, since, starts: { ...starts } } }
}

/** A queue that is no longer declared drains first: it keeps being delivered, and takes nothing new. */
function stillToClose(current: Service, declared: readonly QueueDefinition[]): QueueDefinition[] {
  const kept = new Set(declared.map(addressOf))
  const all = [...current.queues, ...(current.subscriptions ?? []), ...current.closing]
  return all.filter((queue) => !kept.has(addressOf(queue)))
}

function sameContent(a: Service, b: Service): boolean {
  const content = ({ url, queues, subscriptions, closing, manifest }: Service) =>
    JSON.stringify({ url, queues, subscriptions, closing, manifest })
  return content(a) === content(b)
}

function isSame(a: QueueDefinition, b: QueueDefinition): boolean {
  return addressOf(a) === addressOf(b)
}

function addressOf({ kind, name }: QueueDefinition): string {
  return queueAddress(kind, name)
}

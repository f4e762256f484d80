import {
  type FieldError,
  ProblemError,
  type QueueDefinition,
  type Service,
  type SubscriptionRequest,
  type SubscriptionView,
  subscriptionId,
} from '@millrace/contracts'
import { compileFilters, type ReadSubscription, readSubscription } from '@millrace/engine'

/** The queue of a subscription that was asked for through the API. Throws ProblemError with every mistake. */
export function toDefinition(request: SubscriptionRequest, name: string): QueueDefinition {
  const { types, source, filters, sink, config } = request
  const { namespace: _namespace, name: _name, ...delivery } = config
  const isPulled = delivery.delivery === 'pull'
  // Where a sink is missing, a path stands in for it: what else is wrong is to be said as well.
  const endpoint = isPulled ? {} : { endpoint: sink === undefined ? '/' : pathOf(sink) }
  const read = readSubscription({ name, ...endpoint, types, source, filters, ...delivery })
  refuseIfAny([
    ...faultsOfSink(sink, isPulled),
    ...(read.kind === 'refused' ? read.mistakes : []).map(({ pointer, detail }) => ({
      pointer: pointerInRequest(pointer),
      detail,
    })),
  ])
  const { queue } = read as Extract<ReadSubscription, { kind: 'read' }>
  return { ...queue, ...(sink !== undefined && { sink }) }
}

function pathOf(sink: string): string {
  const { pathname, search } = new URL(sink)
  return pathname + search
}

function faultsOfSink(sink: string | undefined, isPulled: boolean): FieldError[] {
  const fault = (detail: string) => [{ pointer: '/sink', detail }]
  if (sink === undefined) {
    return isPulled ? [] : fault('is required: expected an http or https URL, or "delivery": "pull" in config')
  }
  if (isPulled) return fault('is where to deliver to, but with delivery: pull the service takes its events itself')
  const { username, hash } = new URL(sink)
  return username || hash ? fault('must be a plain URL, without user or fragment') : []
}

/** In the request, what is about delivery stands in `config`. */
function pointerInRequest(pointer: string): string {
  if (pointer === '/endpoint') return '/sink'
  return /^\/(?:types|source|filters)(?:\/|$)/.test(pointer) ? pointer : `/config${pointer}`
}

export function faultsOfFilters(filters: readonly unknown[]): FieldError[] {
  const compiled = compileFilters(filters)
  if (compiled.kind === 'compiled') return []
  return compiled.mistakes.map(({ pointer, detail }) => ({ pointer: `/filters${pointer}`, detail }))
}

export function refuseIfAny(errors: readonly FieldError[]): void {
  const [first] = errors
  if (first) throw new ProblemError('request.invalid', `${first.pointer} ${first.detail}.`, { errors })
}

/** A subscription as the CloudEvents Subscriptions API shows it, whoever made it. */
export function toView(service: Service, definition: QueueDefinition): SubscriptionView | undefined {
  const { subscription, name, kind: _kind, endpoint, sink, ...delivery } = definition
  if (!subscription) return undefined
  const { types, source, filters, startFrom } = subscription
  const declared = service.queues.includes(definition)
  return {
    id: subscriptionId(service.namespace, name),
    ...(types.length > 0 && { types }),
    ...(source !== undefined && { source }),
    ...(filters.length > 0 && { filters }),
    config: { namespace: service.namespace, name, startFrom, ...delivery, madeBy: declared ? 'manifest' : 'api' },
    ...(definition.delivery !== 'pull' && { sink: sink ?? `${service.url}${endpoint}`, protocol: 'HTTP' }),
  }
}

import {
  endpointSchema,
  type FieldError,
  manifestSubscriptionSchema,
  ProblemError,
  type QueueDefinition,
  type Service,
  type SubscriptionRequest,
  type SubscriptionView,
  subscriptionId,
} from '@millrace/contracts'
import { compileFilters, subscriptionQueue } from '@millrace/engine'

/** The queue of a subscription that was asked for through the API. Throws ProblemError with every mistake. */
export function toDefinition(request: SubscriptionRequest, name: string): QueueDefinition {
  const { types, source, filters, sink, config } = request
  const { namespace: _namespace, name: _name, ...delivery } = config
  const url = new URL(sink)
  const endpoint = endpointSchema.safeParse(`${url.pathname}${url.search}`)
  const mistakes: FieldError[] = [
    ...faultsOfFilters(filters),
    ...(endpoint.success && !url.username && !url.hash
      ? []
      : [{ pointer: '/sink', detail: 'must be a plain URL, without user or fragment' }]),
    ...(delivery.keyRateLimit !== undefined && delivery.keyConcurrency === undefined
      ? [{ pointer: '/config/keyRateLimit', detail: 'needs keyConcurrency as well' }]
      : []),
    ...(delivery.onDead !== undefined && delivery.keyConcurrency !== 1
      ? [{ pointer: '/config/onDead', detail: 'has a meaning with keyConcurrency: 1 only' }]
      : []),
  ]
  refuseIfAny(mistakes)
  const parsed = manifestSubscriptionSchema.parse({
    name,
    endpoint: endpoint.data,
    types,
    source,
    filters,
    ...delivery,
  })
  return { ...subscriptionQueue(parsed), sink }
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
    sink: sink ?? `${service.url}${endpoint}`,
    protocol: 'HTTP',
  }
}

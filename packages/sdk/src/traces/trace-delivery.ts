import { contextIn, failSpan, reasonOf, startProcess, type TraceCarrier } from '@millrace/traces'
import { context, type Span, type Tracer, trace } from '@opentelemetry/api'
import { activeTracer } from './active-tracer.ts'

/** A request of a dispatcher, as any HTTP server hands it out: of Node, Express and Fastify, or a `Request`. */
export interface DeliveryRequest {
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>
}

export interface DeliveredTo {
  readonly namespace: string
  /** As in the body of the request: `mail`, or `schedule:nightly` of a schedule, `subscription:paid` of a subscription. */
  readonly queue: string
}

/**
 * Do the work of a delivery under a span of its own, where the service is traced, and otherwise just do it.
 *
 * The span is a CONSUMER named `process <namespace>/<queue>`. It links to the delivery of this attempt, and is under it; under
 * the span of the HTTP request where the service makes one. It is active while `work` runs, and failed when `work` throws.
 *
 * ```ts
 * app.post('/internal/mail', (request, reply) =>
 *   traceDelivery(request, { namespace: 'shop', queue: 'mail' }, () => sendMail(request.body.data)))
 * ```
 *
 * @returns what `work` returns; it throws what `work` throws.
 */
export function traceDelivery<Result>(request: DeliveryRequest, to: DeliveredTo, work: () => Result): Result {
  const tracer = activeTracer()
  if (!tracer) return work()
  const span = begin(tracer, request, to)
  try {
    const result = context.with(trace.setSpan(context.active(), span), work)
    if (result instanceof Promise) endWith(span, result)
    else span.end()
    return result
  } catch (error) {
    failSpan(span, reasonOf(error)).end()
    throw error
  }
}

function begin(tracer: Tracer, { headers }: DeliveryRequest, { namespace, queue }: DeliveredTo): Span {
  const header = (name: string): string | undefined => {
    const value = headers instanceof Headers ? headers.get(name) : headers[name]
    return typeof value === 'string' ? value : undefined
  }
  const [id, attempt, epoch] = [header('webhook-id'), header('x-attempt'), header('x-job-epoch')]
  const [traceparent, tracestate] = [header('traceparent'), header('tracestate')]
  const carrier: TraceCarrier = { ...(traceparent && { traceparent }), ...(tracestate && { tracestate }) }
  const isInRequest = trace.getActiveSpan() !== undefined
  return startProcess(tracer, {
    operation: 'process',
    destination: `${namespace}/${queue}`,
    links: [{ id, carrier }],
    parent: isInRequest ? context.active() : contextIn(carrier),
    attributes: {
      ...(id !== undefined && { 'messaging.message.id': id }),
      ...(attempt !== undefined && { 'messaging.millrace.attempt': Number(attempt) }),
      ...(epoch !== undefined && { 'messaging.millrace.epoch': Number(epoch) }),
    },
  })
}

function endWith(span: Span, working: Promise<unknown>): void {
  working.then(
    () => span.end(),
    (error: unknown) => failSpan(span, reasonOf(error)).end(),
  )
}

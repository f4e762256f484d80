import { type Context, propagation, ROOT_CONTEXT, type Span, type SpanContext, trace } from '@opentelemetry/api'

/** W3C trace context as it travels: the headers of that name. */
export interface TraceCarrier {
  readonly traceparent?: string
  readonly tracestate?: string
}

/** The context of a span as headers. */
export function carrierOf(span: Span): TraceCarrier {
  const carrier: TraceCarrier = {}
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), carrier)
  return carrier
}

/** The context that headers, or what travels with a job, name; the empty one when they name none. */
export function contextIn(carrier: object): Context {
  return propagation.extract(ROOT_CONTEXT, carrier)
}

/** The span that headers, or what travels with a job, name. */
export function spanContextIn(carrier: object): SpanContext | undefined {
  return trace.getSpanContext(contextIn(carrier))
}

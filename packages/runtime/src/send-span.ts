import { type MessagingOperation, messagingSpan, ProblemError } from '@millrace/contracts'
import {
  type Attributes,
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'

/** W3C trace context as it travels: the headers of that name. */
export interface TraceCarrier {
  readonly traceparent?: string
  readonly tracestate?: string
}

export interface SendSpan {
  /** The creation context for what is sent: the sender's own, unchanged, where it brought one, else that of this span. */
  readonly carrier: TraceCarrier
  end(attributes?: Attributes): void
  /** It came to nothing for this reason. */
  fail(error: unknown): void
}

export interface Sent {
  readonly operation: MessagingOperation
  readonly destination?: string | undefined
  /** What the sender brought. */
  readonly carrier?: TraceCarrier | undefined
  readonly attributes?: Attributes
  /** It begins a trace of its own, whatever goes on around it. */
  readonly root?: boolean
  /** It begins in so many ms. */
  readonly inMs?: number | undefined
}

/**
 * A span for messages that are put into the platform. By the conventions for messaging a creation context that the
 * sender made is kept and linked to, and the span is a CLIENT then; otherwise the span is the PRODUCER, and what it sends
 * carries its context.
 */
export function startSend(
  tracer: Tracer,
  { operation, destination, carrier, attributes, root = false, inMs }: Sent,
): SendSpan {
  const said = messagingSpan(operation, destination)
  const creation = carrier?.traceparent === undefined ? undefined : trace.getSpanContext(contextIn(carrier))
  const span = tracer.startSpan(said.name, {
    root,
    ...(inMs !== undefined && { startTime: Date.now() + inMs }),
    kind: creation ? SpanKind.CLIENT : SpanKind.PRODUCER,
    attributes: { ...said.attributes, ...attributes },
    ...(creation && { links: [{ context: creation }] }),
  })
  return {
    carrier: creation && carrier ? carrier : carrierOf(span),
    end(more = {}) {
      span.setAttributes(more).end()
    },
    fail(error) {
      span.setAttribute('error.type', error instanceof ProblemError ? error.code : 'internal')
      span.setStatus({ code: SpanStatusCode.ERROR }).end()
    },
  }
}

/** The context of a span as headers. */
export function carrierOf(span: Span): TraceCarrier {
  const carrier: TraceCarrier = {}
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), carrier)
  return carrier
}

/** The context that headers, or what travels with a job, name; the empty one when they name none. */
export function contextIn(carrier: TraceCarrier): Context {
  return propagation.extract(ROOT_CONTEXT, carrier)
}

import { type Attributes, SpanKind, type Tracer } from '@opentelemetry/api'
import { carrierOf, spanContextIn, type TraceCarrier } from './carrier.ts'
import { failSpan, reasonOf } from './failure.ts'
import { type MessagingOperation, messagingSpan } from './messaging-span.ts'

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
  const creation = carrier?.traceparent === undefined ? undefined : spanContextIn(carrier)
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
      failSpan(span, reasonOf(error)).end()
    },
  }
}

import { type Attributes, type Context, ROOT_CONTEXT, type Span, SpanKind, type Tracer } from '@opentelemetry/api'
import { spanContextIn, type TraceCarrier } from './carrier.ts'
import { messagingSpan } from './messaging-span.ts'

export interface Processed {
  readonly operation: 'deliver' | 'process'
  /** The address of the queue. */
  readonly destination: string | undefined
  /** Where each message was created, or what delivered it: the span links to it. */
  readonly links: readonly { readonly id: string | undefined; readonly carrier: TraceCarrier }[]
  /** The empty one begins a trace. */
  readonly parent?: Context
  readonly attributes?: Attributes
}

/** A CONSUMER span for messages that somebody does the work of. */
export function startProcess(
  tracer: Tracer,
  { operation, destination, links, parent = ROOT_CONTEXT, attributes }: Processed,
): Span {
  const said = messagingSpan(operation, destination)
  return tracer.startSpan(
    said.name,
    {
      kind: SpanKind.CONSUMER,
      attributes: { ...said.attributes, ...attributes },
      links: links.flatMap(({ id, carrier }) => {
        const context = spanContextIn(carrier)
        return context ? [{ context, ...(id !== undefined && { attributes: { 'messaging.message.id': id } }) }] : []
      }),
    },
    parent,
  )
}

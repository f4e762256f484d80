import type { Attempted, AttemptMaker } from '@millrace/delivery'
import { contextIn, failSpan, startProcess } from '@millrace/traces'
import { context, ROOT_CONTEXT, type Span, type Tracer, trace } from '@opentelemetry/api'

export interface TracedAttempts {
  readonly tracer: Tracer
  /** The address of the queue, with its namespace. */
  readonly address: string
  /** Each attempt is a trace of its own. */
  readonly linked: boolean
}

/**
 * The attempts of a queue with a span around each: a CONSUMER that links to the context in which the job was created, and is
 * a child of it too unless `linked`. It is the active one while the handler runs.
 */
export function traceAttempts(maker: AttemptMaker, { tracer, address, linked }: TracedAttempts): AttemptMaker {
  const { kind, name } = maker.definition
  const subscription = kind === 'subscription' ? { 'messaging.destination.subscription.name': name } : {}
  return {
    ...maker,
    begin(job, onEnd) {
      const { id, attempt, epoch, meta } = job
      const span = startProcess(tracer, {
        operation: 'process',
        destination: address,
        links: [{ id, carrier: meta }],
        parent: linked ? ROOT_CONTEXT : contextIn(meta),
        attributes: {
          ...subscription,
          'messaging.message.id': id,
          'messaging.millrace.attempt': attempt,
          'messaging.millrace.epoch': epoch,
        },
      })
      const { traceId, spanId } = span.spanContext()
      return context.with(trace.setSpan(ROOT_CONTEXT, span), () =>
        maker.begin(job, (attempted) => {
          end(span, attempted)
          onEnd({ ...attempted, span: { traceId, spanId } })
        }),
      )
    },
  }
}

function end(span: Span, { settlement }: Attempted): void {
  span.setAttribute('messaging.millrace.outcome', settlement.kind)
  if ('reason' in settlement && settlement.reason !== undefined) failSpan(span, settlement.reason)
  span.end()
}

import { type IncomingEvent, traceOf } from '@millrace/engine'
import type { Tracing } from '@millrace/runtime'
import { startSend, type TraceCarrier } from '@millrace/traces'
import type { Published } from './publisher.ts'

interface Publishing {
  readonly namespace: string | undefined
  /** Those that came as CloudEvents: undefined where we make the event ourselves. */
  readonly complete: readonly IncomingEvent[] | undefined
  readonly headers: TraceCarrier
}

/**
 * Publishes under a span, where there are traces. `publish` gets the context for an event that we make ourselves; a
 * CloudEvent is kept as it came, and its `traceparent` extension is its creation context if it has one.
 */
export type PublishTraces = (
  publishing: Publishing,
  publish: (carrier: TraceCarrier) => Promise<Published[]>,
) => Promise<Published[]>

export function createPublishTraces(tracing: Tracing | undefined): PublishTraces {
  if (!tracing) return (publishing, publish) => publish(creationOf(publishing))
  return async (publishing, publish) => {
    const { namespace, complete } = publishing
    const [event, ...others] = complete ?? []
    const span = startSend(tracing.tracer, {
      operation: 'publish',
      destination: namespace,
      carrier: creationOf(publishing),
      attributes: others.length > 0 ? { 'messaging.batch.message_count': others.length + 1 } : attributesOf(event),
    })
    try {
      const published = await publish(span.carrier)
      span.end(published.length === 1 ? { 'messaging.message.id': published[0]?.id } : {})
      return published
    } catch (error) {
      span.fail(error)
      throw error
    }
  }
}

/** What the sender says that its event was made in: of a CloudEvent the extension, else the request's headers. */
function creationOf({ complete, headers }: Publishing): TraceCarrier {
  const [event, ...others] = complete ?? []
  const own = event && others.length === 0 ? carrierIn(event) : {}
  return own.traceparent === undefined ? traceOf(headers) : own
}

function carrierIn({ attributes }: IncomingEvent): TraceCarrier {
  const { traceparent, tracestate } = attributes
  return traceOf({
    ...(traceparent !== undefined && { traceparent: String(traceparent) }),
    ...(tracestate !== undefined && { tracestate: String(tracestate) }),
  })
}

function attributesOf(event: IncomingEvent | undefined) {
  if (!event) return {}
  const { id, source, type, specversion, subject } = event.attributes
  return {
    'cloudevents.event_id': String(id),
    'cloudevents.event_source': String(source),
    'cloudevents.event_type': String(type),
    'cloudevents.event_spec_version': String(specversion),
    ...(subject !== undefined && { 'cloudevents.event_subject': String(subject) }),
  }
}

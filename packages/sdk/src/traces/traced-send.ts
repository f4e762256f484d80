import { type Sent, startSend, type TraceCarrier } from '@millrace/traces'
import { type Attributes, context, createContextKey } from '@opentelemetry/api'
import { activeTracer } from './active-tracer.ts'

/**
 * By this key the SDKs know that no spans are to be made, and propagators that no headers are to be added. Instrumentation
 * of `fetch` adds its headers to those that are there, and two `traceparent` are none.
 */
const SUPPRESS = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')

const NOTHING: TraceCarrier = Object.freeze({})

/**
 * Send something to the platform, under a span where the service is traced. `send` gets the headers that carry the context
 * which the message was created in.
 */
export function tracedSend<Result>(
  sent: () => Sent,
  send: (carrier: TraceCarrier) => Promise<Result>,
  attributesOf: (result: Result) => Attributes = () => ({}),
): Promise<Result> {
  const tracer = activeTracer()
  if (!tracer) return send(NOTHING)
  const span = startSend(tracer, sent())
  const sending = context.with(context.active().setValue(SUPPRESS, true), () => send(span.carrier))
  // Whoever called hears of what went wrong by the promise that is handed on; this one only ends the span.
  sending.then(
    (result) => span.end(attributesOf(result)),
    (error: unknown) => span.fail(error),
  )
  return sending
}

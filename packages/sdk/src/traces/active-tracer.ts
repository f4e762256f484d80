import { type Tracer, trace } from '@opentelemetry/api'

/** The name of this library in the spans that it makes: their instrumentation scope. */
const SCOPE = '@millrace/sdk'

/**
 * The tracer of the service, if it has set up an OpenTelemetry SDK; undefined if not, and then nothing of tracing is entered.
 * The API would give a tracer in any case, one that makes spans of nothing, each of which costs something.
 */
export function activeTracer(): Tracer | undefined {
  const provider = trace.getTracerProvider()
  // What the API answers is a proxy, with nothing behind it as long as nobody has registered a provider.
  return 'getDelegateTracer' in provider
    ? (provider as { getDelegateTracer(name: string): Tracer | undefined }).getDelegateTracer(SCOPE)
    : provider.getTracer(SCOPE)
}

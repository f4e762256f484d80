import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { context, propagation, type Tracer, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'

/** Set up tracing in this process as a service would, sending each span as soon as it has ended; until `end()`. */
export function traceThisService(name: string, collectorUrl: string): { tracer: Tracer; end(): void } {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': name }),
    spanProcessors: [
      new SimpleSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${collectorUrl}/v1/traces` }) }),
    ],
  })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  const tracer = provider.getTracer('test')
  const restoreFetch = instrumentFetch(tracer)
  return {
    tracer,
    end() {
      restoreFetch()
      for (const part of [trace, propagation, context]) part.disable()
    },
  }
}

/** As OpenTelemetry's instrumentation of undici does it: a span for each request, its context added to the headers. */
function instrumentFetch(tracer: Tracer): () => void {
  const onRequest = (message: unknown) => {
    const { request } = message as { request: { addHeader(name: string, value: string): void } }
    const headers: Record<string, string> = {}
    const span = tracer.startSpan('fetch')
    propagation.inject(trace.setSpan(context.active(), span), headers)
    for (const [name, value] of Object.entries(headers)) request.addHeader(name, value)
    span.end()
  }
  subscribe('undici:request:create', onRequest)
  return () => {
    unsubscribe('undici:request:create', onRequest)
  }
}

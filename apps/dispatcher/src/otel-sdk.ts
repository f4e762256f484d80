// Loaded by a dynamic import, and only when there is an endpoint for traces.
export { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
export { W3CTraceContextPropagator } from '@opentelemetry/core'
export { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
export { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
export { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
export {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'

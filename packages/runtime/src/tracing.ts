import { context, diag, propagation, type Tracer, trace } from '@opentelemetry/api'
import type * as Hooks from '@opentelemetry/context-async-hooks'
import type * as Core from '@opentelemetry/core'
import type * as JsonExporter from '@opentelemetry/exporter-trace-otlp-http'
import type * as ProtobufExporter from '@opentelemetry/exporter-trace-otlp-proto'
import type * as Resources from '@opentelemetry/resources'
import type * as Sdk from '@opentelemetry/sdk-trace'
import type { Logger } from './logger.ts'
import { isTraced, type TracingConfig } from './tracing-config.ts'
import { VERSION } from './version.ts'

/**
 * The parts of the OpenTelemetry SDK that tracing is made of. An app hands them in by a dynamic import: no package
 * imports the SDK, and a process without an endpoint never loads it.
 */
export interface TracingSdk {
  readonly AsyncLocalStorageContextManager: typeof Hooks.AsyncLocalStorageContextManager
  readonly W3CTraceContextPropagator: typeof Core.W3CTraceContextPropagator
  readonly JsonExporter: typeof JsonExporter.OTLPTraceExporter
  readonly ProtobufExporter: typeof ProtobufExporter.OTLPTraceExporter
  readonly defaultResource: typeof Resources.defaultResource
  readonly detectResources: typeof Resources.detectResources
  readonly envDetector: typeof Resources.envDetector
  readonly resourceFromAttributes: typeof Resources.resourceFromAttributes
  readonly AlwaysOffSampler: typeof Sdk.AlwaysOffSampler
  readonly AlwaysOnSampler: typeof Sdk.AlwaysOnSampler
  readonly BatchSpanProcessor: typeof Sdk.BatchSpanProcessor
  readonly ParentBasedSampler: typeof Sdk.ParentBasedSampler
  readonly TraceIdRatioBasedSampler: typeof Sdk.TraceIdRatioBasedSampler
  readonly TracerProvider: typeof Sdk.TracerProvider
}

export interface Tracing {
  readonly tracer: Tracer
  /** Send what waits to be sent, for a few seconds at most. */
  stop(): Promise<void>
}

/** A batch of jobs links to each of them, and has up to so many. */
const MAX_LINKS = 1000
/** A collector that is away must not hold up a process that has drained. */
const STOP_MS = 3000
/** A collector that is away fails every export, and one line about it in so long is enough. */
const TELL_EVERY_MS = 60_000

/** Begin to trace, when the configuration has an endpoint; undefined, and nothing loaded, when it has none. */
export async function startTracing(
  config: TracingConfig,
  { app, logger, loadSdk }: { app: string; logger: Logger; loadSdk(): Promise<TracingSdk> },
): Promise<Tracing | undefined> {
  if (!isTraced(config)) return undefined
  const sdk = await loadSdk()
  diag.setLogger(exportLog(logger))
  const Exporter = config.OTEL_EXPORTER_OTLP_PROTOCOL === 'http/json' ? sdk.JsonExporter : sdk.ProtobufExporter
  const provider = new sdk.TracerProvider({
    resource: resourceOf(app, sdk),
    sampler: samplerOf(config, sdk),
    spanLimits: { linkCountLimit: MAX_LINKS },
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new Exporter(),
        scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
        maxQueueSize: config.OTEL_BSP_MAX_QUEUE_SIZE,
        maxExportBatchSize: Math.min(config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, config.OTEL_BSP_MAX_QUEUE_SIZE),
      }),
    ],
  })
  context.setGlobalContextManager(new sdk.AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new sdk.W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  return {
    tracer: provider.getTracer('millrace', VERSION),
    async stop() {
      const late = new Promise<void>((resolve) => setTimeout(resolve, STOP_MS).unref())
      await Promise.race([provider.shutdown().catch(() => undefined), late])
    },
  }
}

/** What the environment says of this process wins over what we know. */
function resourceOf(app: string, sdk: TracingSdk) {
  const own = { 'service.name': `millrace-${app}`, 'service.namespace': 'millrace', 'service.version': VERSION }
  return sdk
    .defaultResource()
    .merge(sdk.resourceFromAttributes(own))
    .merge(sdk.detectResources({ detectors: [sdk.envDetector] }))
}

function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: share }: TracingConfig, sdk: TracingSdk) {
  const root = rootSampler(name, share, sdk)
  return name.startsWith('parentbased_') ? new sdk.ParentBasedSampler({ root }) : root
}

function rootSampler(name: string, share: number, sdk: TracingSdk) {
  if (name.endsWith('always_off')) return new sdk.AlwaysOffSampler()
  return name.endsWith('traceidratio') ? new sdk.TraceIdRatioBasedSampler(share) : new sdk.AlwaysOnSampler()
}

/** What the SDK says of itself: that spans could not be sent. Neither its words for developers nor a line per try. */
function exportLog(logger: Logger) {
  let toldAt = Number.NEGATIVE_INFINITY
  const tell = (message: string) => {
    if (performance.now() - toldAt < TELL_EVERY_MS) return
    toldAt = performance.now()
    logger.warn({ event: 'tracing.failed', error: message.slice(0, 300) }, 'spans could not be sent')
  }
  const nothing = () => undefined
  return { error: tell, warn: tell, info: nothing, debug: nothing, verbose: nothing }
}

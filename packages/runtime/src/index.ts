/**
 * What every process is built from.
 *
 * ```ts
 * const config = parseConfig(z.object({ ...commonConfig, PORT: portConfig(8080) }), process.env)
 * const { logger, tracing } = await startTelemetry(config, { app: 'demo', loadSdk: () => import('./otel-sdk.ts') })
 * const server = await createHttpServer({ title: 'Demo', version: VERSION, logger, metrics: createMetrics({ app: 'demo', version: VERSION, maxNames: 200 }), tracing, bodyLimitBytes: 1e6, ready: { process: async () => ({}) } })
 * await listen(server, { host: config.MILLRACE_HOST, port: config.PORT, variable: 'PORT', guarded: false })
 * ```
 */
export {
  type Clock,
  type Loop,
  type LoopOptions,
  Pulse,
  type StepsOptions,
  startLoop,
  startSteps,
  systemClock,
} from '@millrace/time'
export { ConfigError, commonConfig, parseConfig, portConfig, waitReplicasConfig } from './config.ts'
export {
  type CutReason,
  type EventStream,
  type EventStreams,
  endAnswer,
  endOf,
  limitOpen,
  openEventStreams,
  SSE_ROUTE,
  type StreamMessage,
  shareLooks,
} from './event-streams.ts'
export { isLoopback } from './host-check.ts'
export { type AppServer, createHttpServer, type HttpServerOptions, listen } from './http-server.ts'
export { InvariantError, invariant } from './invariant.ts'
export { type ListOrder, type ListPage, pageOf } from './list-pages.ts'
export { createLogger, type Logger } from './logger.ts'
export type { Counter } from './metrics/counter.ts'
export type { Gauge } from './metrics/gauge.ts'
export type { Histogram } from './metrics/histogram.ts'
export { createMetrics, type InstrumentsOf, type Metrics, type MetricsOptions } from './metrics/metrics.ts'
export type { Problems, ReadinessSource } from './readiness.ts'
export { type RunningService, runService, type ServiceOptions, StartError } from './service.ts'
export { startTelemetry, type Telemetry } from './telemetry.ts'
export { together } from './together.ts'
export type { Tracing, TracingSdk } from './tracing.ts'
export { VERSION } from './version.ts'

import { createLogger, type Logger } from './logger.ts'
import { startTracing, type Tracing, type TracingSdk } from './tracing.ts'
import { isTraced, type TracingConfig } from './tracing-config.ts'

export interface Telemetry {
  readonly logger: Logger
  /** Undefined while nobody asked for traces. */
  readonly tracing: Tracing | undefined
}

/** How a process tells what it does: its log, and its traces if there is an endpoint for them. */
export async function startTelemetry(
  config: TracingConfig & { readonly LOG_LEVEL: string },
  { app, loadSdk }: { app: string; loadSdk(): Promise<TracingSdk> },
): Promise<Telemetry> {
  const logger = createLogger({ app, level: config.LOG_LEVEL, traced: isTraced(config) })
  return { logger, tracing: await startTracing(config, { app, logger, loadSdk }) }
}

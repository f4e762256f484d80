import { runService, startTelemetry } from '@millrace/runtime'
import { readConfig } from './config.ts'
import { startScheduler } from './scheduler.ts'

const DRAIN_MS = 10_000

await runService({
  name: 'scheduler',
  async start() {
    const config = readConfig()
    const telemetry = await startTelemetry(config, { app: 'scheduler', loadSdk: () => import('./otel-sdk.ts') })
    return { service: await startScheduler(config, telemetry), telemetry, drainMs: DRAIN_MS }
  },
})

import { runService, startTelemetry } from '@millrace/runtime'
import { readConfig } from './config.ts'
import { startDispatcher } from './dispatcher.ts'

await runService({
  name: 'dispatcher',
  async start() {
    const config = readConfig()
    const telemetry = await startTelemetry(config, { app: 'dispatcher', loadSdk: () => import('./otel-sdk.ts') })
    // Draining has its own limit; this one only ends a process whose drain hangs.
    return { service: await startDispatcher(config, telemetry), telemetry, drainMs: config.MILLRACE_DRAIN_MS + 5000 }
  },
})

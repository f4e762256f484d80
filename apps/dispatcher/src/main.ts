import { createLogger, runService } from '@millrace/runtime'
import { readConfig } from './config.ts'
import { startDispatcher } from './dispatcher.ts'

await runService({
  name: 'dispatcher',
  async start() {
    const config = readConfig()
    const logger = createLogger({ app: 'dispatcher', level: config.LOG_LEVEL })
    // Draining has its own limit; this one only ends a process whose drain hangs.
    return { service: await startDispatcher(config, logger), logger, drainMs: config.MILLRACE_DRAIN_MS + 5000 }
  },
})

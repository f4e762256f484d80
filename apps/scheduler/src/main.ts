import { createLogger, runService } from '@millrace/runtime'
import { readConfig } from './config.ts'
import { startScheduler } from './scheduler.ts'

const DRAIN_MS = 10_000

await runService({
  name: 'scheduler',
  async start() {
    const config = readConfig()
    const logger = createLogger({ app: 'scheduler', level: config.LOG_LEVEL })
    return { service: await startScheduler(config, logger), logger, drainMs: DRAIN_MS }
  },
})

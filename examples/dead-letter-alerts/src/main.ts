import { readConfig } from './config.ts'
import { startService } from './service.ts'

const service = await startService(readConfig())
console.log(`dead-letter-alerts listening on ${service.url}`)

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, async () => {
    await service.close()
    process.exit(0)
  })
}

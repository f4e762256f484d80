import { readConfig } from './config.ts'
import { startService } from './service.ts'

const service = await startService(readConfig())
// The starter of this process waits for exactly this line.
console.log(`dependency-audit listening on ${service.url}`)

// A Ctrl-C in a terminal reaches this process as SIGINT, a supervisor sends SIGTERM. Both mean the same.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, async () => {
    await service.close()
    process.exit(0)
  })
}

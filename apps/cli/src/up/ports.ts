import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { StartError } from '@millrace/runtime'

export interface WantedPort {
  readonly port: number
  readonly variable: string
  readonly app: string
}

/** A run that was killed drains by itself, for as long as its longest request may take. */
const PREVIOUS_RUN_MS = 35_000
const POLL_MS = 250

/**
 * Make sure that the ports are free before anything is started. One that is taken by a previous run that is still
 * draining is waited for; anything else is an error that names the variable.
 */
export async function freePorts(
  wanted: readonly WantedPort[],
  { host, mayWait, onWait }: { host: string; mayWait: boolean; onWait(): void },
): Promise<void> {
  const deadline = Date.now() + (mayWait ? PREVIOUS_RUN_MS : 0)
  let told = false
  for (const { port, variable, app } of wanted) {
    while (!(await isFree(host, port))) {
      if (Date.now() >= deadline) {
        throw new StartError(
          `Port ${port} for the ${app} is taken by another program. Set ${variable} to a free port, for example ${variable}=${port + 100}.`,
        )
      }
      if (!told) onWait()
      told = true
      await delay(POLL_MS)
    }
  }
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen({ host, port }, () => server.close(() => resolve(true)))
  })
}

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Septor } from '@millrace/sdk'
import { createApp } from './app.ts'
import type { Config } from './config.ts'
import { createLockfileReader } from './lockfile.ts'
import { type Logger, stderrLogger } from './logger.ts'
import { type Machine, thisMachine } from './machine.ts'

export interface Service {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** Finishes what it has begun, hands its events to the audit trail, and closes. Takes at most 10 s. */
  close(): Promise<void>
}

export interface ServiceOptions {
  readonly logger?: Logger
  readonly machine?: Machine
}

// Together the 10 s that a supervisor usually grants between SIGTERM and SIGKILL.
const CLOSE_TIMEOUT_MS = 5_000
const FLUSH_TIMEOUT_MS = 5_000

export async function startService(config: Config, options: ServiceOptions = {}): Promise<Service> {
  const { logger = stderrLogger, machine = thisMachine() } = options
  const septor = new Septor({
    apiUrl: config.septorUrl,
    namespace: config.namespace,
    ...(config.apiKey && { apiKey: config.apiKey }),
  })
  const background = new Set<Promise<void>>()
  const inBackground = (work: Promise<void>) => {
    background.add(work)
    void work.finally(() => background.delete(work))
  }
  const readLockfile = createLockfileReader(config.lockfile)
  const server = createServer(createApp({ config, septor, logger, readLockfile, machine, inBackground }))
  await listen(server, config.port)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      await Promise.all([closeServer(server), within(CLOSE_TIMEOUT_MS, Promise.all(background))])
      const { pending } = await septor.flush(FLUSH_TIMEOUT_MS)
      if (pending > 0) logger.error({ pending }, 'events did not reach the audit trail')
    },
  }
}

/** On the loopback address alone: these endpoints are internal, and the platform runs on the same machine. */
function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE'
      reject(isTaken ? new Error(`Port ${port} is taken. Choose another one with PORT.`, { cause: error }) : error)
    })
    server.listen(port, '127.0.0.1', resolve)
  })
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  await within(CLOSE_TIMEOUT_MS, closed)
  server.closeAllConnections()
}

/** Resolves when `work` does, or when its time is over. */
async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, timeoutMs)
  await Promise.race([work, promise])
  clearTimeout(timer)
}

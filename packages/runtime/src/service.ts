import closeWithGrace from 'close-with-grace'
import { ConfigError } from './config.ts'
import type { Telemetry } from './telemetry.ts'

export interface RunningService {
  /** Drain and stop. Called once. */
  stop(): Promise<void>
}

/** An error whose message says all that its reader needs: printed without a stack, exit code 1. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

export interface ServiceOptions {
  readonly name: string
  /** `drainMs`: how long draining may take before the process ends all the same. */
  start(): Promise<{ service: RunningService; telemetry: Telemetry; drainMs: number }>
}

/**
 * Run an app as a process: start it, drain on SIGTERM and SIGINT, end at once on a second signal. Exit code 0 after a
 * drain, 1 when it could not start or failed.
 */
export async function runService({ name, start }: ServiceOptions): Promise<void> {
  try {
    const { service, telemetry, drainMs } = await start()
    const { logger, tracing } = telemetry
    closeWithGrace(
      { delay: drainMs, logger: { error: (message: string) => logger.error({ event: 'service.shutdown' }, message) } },
      async ({ signal, err }) => {
        if (err) logger.error({ event: 'service.crashed', err }, 'stopping after an uncaught error')
        else logger.info({ event: 'service.draining', signal }, 'draining')
        await service.stop()
        await tracing?.stop()
        logger.info({ event: 'service.stopped' }, 'stopped')
      },
    )
  } catch (error) {
    process.stderr.write(`${name}: ${explain(error)}\n`)
    process.exit(1)
  }
}

/** What the store of the queues is refused with; its package is none of ours. */
const FOR_A_PERSON: ReadonlySet<string> = new Set(['UnfitServerError', 'RedisUnreachableError'])

/** What a person needs of a start-up error: the message when it was written for them, the stack when it was not. */
function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof StartError) return error.message
  if (error instanceof Error && FOR_A_PERSON.has(error.name)) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

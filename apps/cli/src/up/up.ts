import { join } from 'node:path'
import type { Config } from '../config.ts'
import { EXAMPLE, runFanOut, startExample } from './example.ts'
import { lockHome } from './home-lock.ts'
import { type Platform, type Supervised, startPlatform } from './platform.ts'
import { freePorts } from './ports.ts'
import { createScreen, type Screen, summaryLines, urlLines } from './screen.ts'

/**
 * Run everything on this machine until a signal: Redis, the three apps, and with `example` a service to watch. Returns
 * the exit code. The first signal drains, a second one ends at once.
 */
export async function up(config: Config, { example }: { example: boolean }): Promise<number> {
  const screen = createScreen(process.stdout)
  const stopping = waitForSignal()
  const lock = await lockHome(config.home, {
    onWait: (pid) => screen.line(`Waiting for the previous run (process ${pid}) to end …`),
  })
  let platform: Platform | undefined
  let service: Supervised | undefined
  try {
    await freePorts(wantedPorts(config, example), {
      host: config.host,
      mayWait: lock.afterCrash,
      onWait: () => screen.line('Waiting for the processes of the previous run to end …'),
    })
    const onRestart = (message: string) => screen.line(`! ${message}`)
    screen.line('Starting Redis, the dispatcher, the scheduler and the audit app …')
    platform = await startPlatform(config, { onRestart })
    screen.line(`Millrace is ready (Redis: ${platform.redis}; logs in ${join(config.home, 'logs')})`)
    if (example && !stopping.signal.aborted) service = await showExample(config, screen, onRestart, stopping.signal)
    screen.line()
    for (const line of urlLines(config, { example })) screen.line(line)
    screen.line()
    screen.line('Ctrl-C drains and stops.')
    await stopping.promise
    screen.line()
    screen.line('Draining …')
    return 0
  } catch (error) {
    if (stopping.signal.aborted) return 0
    throw error
  } finally {
    await platform?.stop()
    await service?.stop()
    lock.release()
    if (stopping.signal.aborted) screen.line('Stopped. Everything accepted is kept; start again to go on.')
  }
}

async function showExample(
  config: Config,
  screen: Screen,
  onRestart: (message: string) => void,
  signal: AbortSignal,
): Promise<Supervised> {
  const { service, applied } = await startExample(config, { onRestart })
  screen.line(
    `Applied ${EXAMPLE.namespace}/catalog-info.yaml (${applied.result}): queue ${applied.queues.join(', ')}; schedule ${applied.schedules.join(', ')}`,
  )
  screen.line(`Firing ${EXAMPLE.schedule} once; the service fans out one job per package of this repository:`)
  try {
    const summary = await runFanOut(config, screen.progress, signal)
    screen.endProgress()
    for (const line of summaryLines(summary)) screen.line(line)
  } catch (error) {
    screen.endProgress()
    if (!signal.aborted) screen.line(`! ${(error as Error).message}`)
  }
  return service
}

function wantedPorts({ ports }: Config, example: boolean) {
  return [
    { port: ports.dispatcher, variable: 'MILLRACE_DISPATCHER_PORT', app: 'dispatcher' },
    { port: ports.scheduler, variable: 'MILLRACE_SCHEDULER_PORT', app: 'scheduler' },
    { port: ports.audit, variable: 'MILLRACE_AUDIT_PORT', app: 'audit app' },
    ...(example ? [{ port: ports.example, variable: 'MILLRACE_EXAMPLE_PORT', app: 'example service' }] : []),
  ]
}

/** The first signal, or the end of a starter that holds a channel to us, asks for a drain; the second ends at once. */
function waitForSignal(): { promise: Promise<void>; signal: AbortSignal } {
  const controller = new AbortController()
  const promise = new Promise<void>((resolve) => {
    const ask = () => {
      if (controller.signal.aborted) process.exit(130)
      controller.abort()
      resolve()
    }
    process.on('SIGINT', ask)
    process.on('SIGTERM', ask)
    process.once('disconnect', ask)
    // Listening for its end must not keep us alive.
    process.channel?.unref()
  })
  return { promise, signal: controller.signal }
}

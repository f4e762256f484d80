import type { Clock, Logger } from '@millrace/runtime'
import type { Database } from '../store/database.ts'
import { areReadModelsCurrent, forgetRebuild, type RebuildProgress, rebuildReadModels } from './rebuild.ts'

export interface RebuildStatus extends RebuildProgress {
  readonly state: 'never' | 'running' | 'done' | 'failed'
  /** Milliseconds since 1970; while it runs there is no end. */
  readonly startedAtMs?: number
  readonly endedAtMs?: number
  readonly error?: string
}

/** Runs one rebuild at a time in this process, and knows how the last one went. */
export interface Rebuilder {
  status(): RebuildStatus
  /** Begin, unless one is running. */
  start(): RebuildStatus
  /** Begin when the read models are those of another version. */
  startIfOutdated(): Promise<void>
  stop(): Promise<void>
}

export function createRebuilder({
  database,
  clock,
  logger,
}: {
  database: Database
  clock: Pick<Clock, 'now'>
  logger: Logger
}): Rebuilder {
  const stopping = new AbortController()
  let status: RebuildStatus = { state: 'never', records: 0, of: 0 }
  let running: Promise<void> = Promise.resolve()

  const run = async () => {
    const startedAtMs = clock.now()
    logger.info({ event: 'rebuild.started' }, 'the read models are made again from the records')
    try {
      const progress = await rebuildReadModels(database, {
        now: clock.now,
        abort: stopping.signal,
        onProgress: (progress) => {
          status = { state: 'running', startedAtMs, ...progress }
        },
      })
      status = { state: 'done', startedAtMs, endedAtMs: clock.now(), ...progress }
      logger.info({ event: 'rebuild.finished', ...progress }, 'the read models are made again')
    } catch (error) {
      status = { ...status, state: 'failed', endedAtMs: clock.now(), error: (error as Error).message }
      logger.error({ event: 'rebuild.failed', err: error }, 'the read models stay as they were')
      if (stopping.signal.aborted) await forgetRebuild(database).catch(() => undefined)
    }
  }
  const start = () => {
    if (status.state === 'running') return status
    status = { state: 'running', records: 0, of: 0, startedAtMs: clock.now() }
    running = run()
    return status
  }
  return {
    status: () => status,
    start,
    async startIfOutdated() {
      if (!(await areReadModelsCurrent(database, clock.now()))) start()
    },
    async stop() {
      stopping.abort(new Error('The process stops.'))
      await running
    },
  }
}

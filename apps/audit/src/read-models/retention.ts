import { type Clock, type Logger, type Loop, startLoop } from '@millrace/runtime'
import type { Database } from '../store/database.ts'
import type { Resolution } from './queue-stats.ts'

const HOUR_MS = 3_600_000
/** Two days of minutes show yesterday beside today; two months of hours show a month beside the last. Days stay. */
const KEEP_MS: Partial<Record<Resolution, number>> = { minute: 48 * HOUR_MS, hour: 62 * 24 * HOUR_MS }
const SWEEP_EVERY_MS = 60_000

/** Delete statistics of minutes and hours that are older than they are kept. */
export async function sweepQueueStats({ write }: Pick<Database, 'write'>, nowMs: number): Promise<void> {
  for (const [resolution, keepMs] of Object.entries(KEEP_MS)) {
    await write(({ db }) =>
      db
        .deleteFrom('queue_stats')
        .where('resolution', '=', resolution)
        .where('start_ms', '<', nowMs - keepMs)
        .execute(),
    )
  }
}

export function startStatsRetention({
  database,
  clock,
  logger,
}: {
  database: Database
  clock: Clock
  logger: Logger
}): Loop {
  return startLoop({
    name: 'stats-retention',
    intervalMs: SWEEP_EVERY_MS,
    run: async () => {
      await sweepQueueStats(database, clock.now())
      return undefined
    },
    onError: (error) => logger.warn({ event: 'retention.failed', err: error }, 'old statistics could not be deleted'),
  })
}

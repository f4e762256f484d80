import type { FoundTick } from '../queries/read-models.ts'
import type { AttemptRow, GasRow, QueueStatsRow, ScheduleRow, SubscriptionRow } from '../store/schema.ts'

/** How rows of the read models are shown, in lists and in the stream of what changes. */

export const ATTEMPT_OUTCOMES = ['running', 'succeeded', 'failed', 'postponed', 'taken_over'] as const

export const showAttempt = (row: AttemptRow) =>
  present({
    ...{ jobId: row.job_id, namespace: row.namespace, queue: row.queue, attempt: row.attempt, epoch: row.epoch },
    ...{ outcome: row.outcome, startedAt: toTime(row.started_at_ms), finishedAt: toTime(row.finished_at_ms) },
    ...{ durationMs: row.duration_ms, status: row.status, reason: row.reason, consumer: row.consumer },
  })

export const showSchedule = (row: ScheduleRow) =>
  present({
    ...{ namespace: row.namespace, name: row.name, rule: row.rule === null ? null : JSON.parse(row.rule) },
    ...{ nextAt: toTime(row.next_at_ms), lastFiredAt: toTime(row.last_fired_at_ms) },
    ...{ fired: row.fired, skipped: row.skipped, missed: row.missed },
    ...{ pausedAt: toTime(row.paused_at_ms), pausedBy: row.paused_by, removedAt: toTime(row.removed_at_ms) },
    updatedAt: toTime(row.updated_at_ms),
  })

export const showTick = (row: FoundTick) =>
  present({
    ...{ namespace: row.namespace, schedule: row.schedule, id: row.id, kind: row.kind, state: row.state },
    ...{ reason: row.reason, at: toTime(row.at_ms), until: toTime(row.until_ms), count: row.count },
    ...{ lateMs: row.late_ms, firedAt: toTime(row.fired_at_ms), jobId: row.job_id },
    ...{ jobState: row.job_state, endedAt: toTime(row.job_finished_at_ms), gas: row.gas },
  })

export const showSubscription = (row: SubscriptionRow) =>
  present({
    ...{ namespace: row.namespace, name: row.name, events: row.events, lastEventAt: toTime(row.last_event_at_ms) },
    ...{ losses: row.losses, lostAt: toTime(row.lost_at_ms) },
    ...{ movedAt: toTime(row.moved_at_ms), movedBy: row.moved_by, updatedAt: toTime(row.updated_at_ms) },
    replay:
      row.replay_id === null
        ? null
        : present({ id: row.replay_id, state: row.replay_state ?? 'running', replayed: row.replayed }),
  })

export const showGas = ({ schedule, ...row }: GasRow) => ({ ...row, ...(schedule !== '' && { schedule }) })

export const showStats = ({
  start_ms,
  resolution,
  wait_ms,
  max_wait_ms,
  run_ms,
  max_run_ms,
  ...row
}: QueueStatsRow) => ({
  ...row,
  start: toTime(start_ms),
  waitMs: { mean: mean(wait_ms, row.started), max: max_wait_ms },
  runMs: { mean: mean(run_ms, row.succeeded + row.failed + row.postponed), max: max_run_ms },
})

function mean(sum: number, count: number): number {
  return count === 0 ? 0 : Math.round((sum / count) * 10) / 10
}

function toTime<Ms extends number | null>(ms: Ms): Ms extends null ? null : string {
  return (ms === null ? null : new Date(ms).toISOString()) as Ms extends null ? null : string
}

/** Without the members that are null. */
function present<T extends Record<string, unknown>>(object: T): { [Name in keyof T]: Exclude<T[Name], null> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null)) as {
    [Name in keyof T]: Exclude<T[Name], null>
  }
}

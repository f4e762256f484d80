import { type ManifestSchedule, type QueueDefinition, SCHEDULE_CONCURRENCY } from '@millrace/contracts'

/**
 * The queue that a schedule's ticks go into. Where ticks may not overlap and are not simply skipped, all of them have one
 * key and the queue serves keys in order: the next run waits for the end of the one before, retries and worker leases
 * included, by what queues can do anyway.
 */
export function defineSchedule(schedule: ManifestSchedule): QueueDefinition {
  const { cron, timezone, at, dst, catchUp, overlap, jitterMs, startAt, endAt, payload, paused, ...delivery } = schedule
  const rule = {
    cron: cron ?? `@at ${at}`,
    timezone,
    at,
    dst,
    catchUp,
    overlap,
    jitterMs,
    startAt,
    endAt,
    payload,
    paused,
  }
  const said = Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined))
  return {
    kind: 'schedule',
    concurrency: SCHEDULE_CONCURRENCY,
    schedule: { ...said, cron: rule.cron, timezone },
    ...(runsInOrder(overlap) && ({ keyConcurrency: 1, onDead: 'skip' } as const)),
    ...delivery,
  }
}

/** Whether a tick waits for the end of the run before. */
export function runsInOrder(overlap: ManifestSchedule['overlap']): boolean {
  return overlap === 'queue' || overlap === 'cancel'
}

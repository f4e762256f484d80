import type { Schedule } from './schedules.ts'

/** The name of a tick: schedule and nominal time, the same however often it is delivered. */
export function tickId({ namespace, name }: Schedule, nominalMs: number): string {
  return `${namespace}/${name}@${new Date(nominalMs).toISOString()}`
}

/** The payload of a tick's job; the attempt is added at delivery. */
export function tickData(
  schedule: Schedule,
  { nominalMs, firedMs, id }: { nominalMs: number; firedMs: number; id?: string },
): string {
  return JSON.stringify({
    schedule: schedule.name,
    cron: schedule.rule.cron,
    timezone: schedule.rule.timezone,
    scheduledAt: new Date(nominalMs).toISOString(),
    firedAt: new Date(firedMs).toISOString(),
    tickId: id ?? tickId(schedule, nominalMs),
  })
}

import { runsInOrder } from '@millrace/engine'
import type { JobMeta } from '@millrace/streams'
import type { TraceCarrier } from '@millrace/traces'
import type { Schedule } from './schedules.ts'

/** What a delivered tick costs in production, in tokens; elsewhere nothing. */
export const GAS_PER_TICK = 2

/** The name of a nominal time in its ledger. */
export function rowName(nominalMs: number): string {
  return new Date(nominalMs).toISOString()
}

/** The name of a tick: schedule and row, the same however often it is delivered. */
export function tickIdOf({ namespace, name }: Pick<Schedule, 'namespace' | 'name'>, row: string): string {
  return `${namespace}/${name}@${row}`
}

/** The payload of a tick's job; the attempt, and when it fired, are added at delivery. */
export function tickData(schedule: Schedule, { nominalMs, id }: { nominalMs: number; id: string }): string {
  const { cron, timezone, payload } = schedule.declared
  return JSON.stringify({
    schedule: schedule.name,
    cron,
    timezone,
    scheduledAt: new Date(nominalMs).toISOString(),
    tickId: id,
    ...(payload !== undefined && { payload }),
  })
}

/** What travels with a tick's job. Where runs go one after another all of them have the same key. */
export function tickMeta(
  schedule: Schedule,
  { id, name, gas, carrier }: { id: string; name: string; gas: number; carrier?: TraceCarrier | undefined },
): JobMeta {
  return {
    tick: { id, name, ...(gas > 0 && { gas }) },
    ...(runsInOrder(schedule.declared.overlap) && { key: 'run' }),
    ...carrier,
  }
}

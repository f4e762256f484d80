import { GAS_EVENTS } from '@millrace/contracts'
import { evolveJob } from '../read-models/job.ts'
import { epochsOf } from '../read-models/jobs.ts'
import { countedMinute } from '../read-models/queue-stats.ts'
import { dayOf, placeOf } from '../read-models/schedules.ts'
import { subscriptionOf } from '../read-models/subscriptions.ts'
import type { Entry } from '../recorder/batch.ts'
import type { Key } from '../store/database.ts'

/** The tables whose rows are told of. */
export const TOLD_TABLES = ['jobs', 'attempts', 'schedules', 'ticks', 'subscriptions', 'gas', 'queue_stats'] as const
export type ToldTable = (typeof TOLD_TABLES)[number]

/** Statistics change with every job, whose row says as much already: they are told of to who names them. */
export function isTold(table: ToldTable, asked: ReadonlySet<ToldTable> | undefined): boolean {
  return asked ? asked.has(table) : table !== 'queue_stats'
}

export interface Change {
  readonly table: ToldTable
  readonly key: Key
}

/** The rows that an event changes. A row that is named here and stayed as it was is told once more, and does no harm. */
export function changedRows(entry: Entry): Change[] {
  return [...changesOfJob(entry), ...placeOf(entry).flatMap(changesOfSchedule), ...changesOfSubscription(entry)]
}

function changesOfJob(entry: Entry): Change[] {
  if (entry.event.kind !== 'job') return []
  const id = entry.fact.entityId
  const attempts = epochsOf(entry).map((epoch): Change => ({ table: 'attempts', key: [id, epoch] }))
  const minute = countedMinute(entry)
  return [
    // Of reports and the like nothing is in the row.
    ...(evolveJob(undefined, entry) ? [{ table: 'jobs', key: [id] } as const] : []),
    ...attempts,
    ...(minute ? [{ table: 'queue_stats', key: minute } as const] : []),
  ]
}

function changesOfSchedule({ type, namespace, name, nowMs, tick }: ReturnType<typeof placeOf>[number]): Change[] {
  const changes: Change[] = [{ table: 'schedules', key: [namespace, name] }]
  if (tick !== undefined) changes.push({ table: 'ticks', key: [namespace, name, tick] })
  if (type === GAS_EVENTS.charged) changes.push({ table: 'gas', key: [namespace, dayOf(nowMs), name] })
  return changes
}

function changesOfSubscription(entry: Entry): Change[] {
  const place = subscriptionOf(entry)
  return place ? [{ table: 'subscriptions', key: [place.namespace, place.name] }] : []
}

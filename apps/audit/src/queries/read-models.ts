import type { Kysely } from 'kysely'
import type {
  AttemptRow,
  AuditDatabase,
  GasRow,
  QueueStatsRow,
  ScheduleRow,
  SubscriptionRow,
  TickRow,
} from '../store/schema.ts'

type Read = Kysely<AuditDatabase>

/** Filters that are not given let everything pass; `since` is inclusive, `until` is not, both in ms. */
interface Common {
  readonly namespace?: string | undefined
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  readonly limit: number
  /** The key of the last row of the page before. */
  readonly after?: readonly (string | number)[] | undefined
}

export type AttemptFilter = Common & {
  readonly queue?: string | undefined
  readonly jobId?: string | undefined
  readonly outcome?: string | undefined
  readonly reason?: string | undefined
}

/** Attempts by the time they were started, the newest first. */
export function findAttempts(read: Read, filter: AttemptFilter): Promise<AttemptRow[]> {
  let query = read
    .selectFrom('attempts')
    .selectAll()
    .orderBy('started_at_ms', 'desc')
    .orderBy('job_id', 'desc')
    .orderBy('epoch', 'desc')
    .limit(filter.limit)
  if (filter.namespace !== undefined) query = query.where('namespace', '=', filter.namespace)
  if (filter.queue !== undefined) query = query.where('queue', '=', filter.queue)
  if (filter.jobId !== undefined) query = query.where('job_id', '=', filter.jobId)
  if (filter.outcome !== undefined) query = query.where('outcome', '=', filter.outcome)
  if (filter.reason !== undefined) query = query.where('reason', '=', filter.reason)
  if (filter.sinceMs !== undefined) query = query.where('started_at_ms', '>=', filter.sinceMs)
  if (filter.untilMs !== undefined) query = query.where('started_at_ms', '<', filter.untilMs)
  const { after } = filter
  if (after !== undefined) {
    const [startedAt, jobId, epoch] = after as [number, string, number]
    query = query.where((eb) =>
      eb(eb.refTuple('started_at_ms', 'job_id', 'epoch'), '<', eb.tuple(startedAt, jobId, epoch)),
    )
  }
  return query.execute()
}

/** Schedules by namespace and name. */
export function findSchedules(read: Read, { namespace, limit, after }: Common): Promise<ScheduleRow[]> {
  let query = read.selectFrom('schedules').selectAll().orderBy('namespace').orderBy('name').limit(limit)
  if (namespace !== undefined) query = query.where('namespace', '=', namespace)
  if (after !== undefined) {
    const [last, name] = after as [string, string]
    query = query.where((eb) => eb(eb.refTuple('namespace', 'name'), '>', eb.tuple(last, name)))
  }
  return query.execute()
}

export type TickFilter = Common & {
  readonly schedule?: string | undefined
  readonly state?: string | undefined
  readonly reason?: string | undefined
}

/** A tick with how its run stands, undefined where it has none. */
export type FoundTick = TickRow & { readonly job_state: string | null; readonly job_finished_at_ms: number | null }

/** Ticks by their nominal time, the newest first. */
export function findTicks(read: Read, filter: TickFilter): Promise<FoundTick[]> {
  let query = read
    .selectFrom('ticks')
    .leftJoin('jobs', 'jobs.id', 'ticks.job_id')
    .selectAll('ticks')
    .select(['jobs.state as job_state', 'jobs.finished_at_ms as job_finished_at_ms'])
    .orderBy('ticks.at_ms', 'desc')
    .orderBy('ticks.namespace', 'desc')
    .orderBy('ticks.schedule', 'desc')
    .orderBy('ticks.id', 'desc')
    .limit(filter.limit)
  if (filter.namespace !== undefined) query = query.where('ticks.namespace', '=', filter.namespace)
  if (filter.schedule !== undefined) query = query.where('ticks.schedule', '=', filter.schedule)
  if (filter.state !== undefined) query = query.where('ticks.state', '=', filter.state)
  if (filter.reason !== undefined) query = query.where('ticks.reason', '=', filter.reason)
  if (filter.sinceMs !== undefined) query = query.where('ticks.at_ms', '>=', filter.sinceMs)
  if (filter.untilMs !== undefined) query = query.where('ticks.at_ms', '<', filter.untilMs)
  const { after } = filter
  if (after !== undefined) {
    const [at, namespace, schedule, id] = after as [number, string, string, string]
    query = query.where((eb) =>
      eb(
        eb.refTuple('ticks.at_ms', 'ticks.namespace', 'ticks.schedule', 'ticks.id'),
        '<',
        eb.tuple(at, namespace, schedule, id),
      ),
    )
  }
  return query.execute()
}

/** Subscriptions by namespace and name. */
export function findSubscriptions(read: Read, { namespace, limit, after }: Common): Promise<SubscriptionRow[]> {
  let query = read.selectFrom('subscriptions').selectAll().orderBy('namespace').orderBy('name').limit(limit)
  if (namespace !== undefined) query = query.where('namespace', '=', namespace)
  if (after !== undefined) {
    const [last, name] = after as [string, string]
    query = query.where((eb) => eb(eb.refTuple('namespace', 'name'), '>', eb.tuple(last, name)))
  }
  return query.execute()
}

export interface GasFilter {
  readonly namespace?: string | undefined
  readonly schedule?: string | undefined
  /** The first and the last day, both included, as `2026-11-22`. */
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly by: 'day' | 'schedule'
  readonly limit: number
  readonly after?: readonly (string | number)[] | undefined
}

/** Gas by namespace and day, the newest day first; by schedule as well when asked, else with an empty one. */
export async function findGas(read: Read, filter: GasFilter): Promise<GasRow[]> {
  const perSchedule = filter.by === 'schedule'
  let query = read
    .selectFrom('gas')
    .select(['day', 'namespace'])
    .select((eb) => [eb.fn.sum<number>('tokens').as('tokens'), eb.fn.sum<number>('ticks').as('ticks')])
    .select((eb) => (perSchedule ? eb.ref('schedule').as('schedule') : eb.val('').as('schedule')))
    .groupBy(['day', 'namespace'])
    .$if(perSchedule, (grouped) => grouped.groupBy('schedule'))
    .orderBy('day', 'desc')
    .orderBy('namespace')
    .$if(perSchedule, (ordered) => ordered.orderBy('schedule'))
    .limit(filter.limit)
  if (filter.namespace !== undefined) query = query.where('namespace', '=', filter.namespace)
  if (filter.schedule !== undefined) query = query.where('schedule', '=', filter.schedule)
  if (filter.from !== undefined) query = query.where('day', '>=', filter.from)
  if (filter.to !== undefined) query = query.where('day', '<=', filter.to)
  const { after } = filter
  if (after !== undefined) {
    const [day, namespace, schedule] = after as [string, string, string]
    query = query.where((eb) =>
      eb.or([
        eb('day', '<', day),
        eb.and([
          eb('day', '=', day),
          perSchedule
            ? eb(eb.refTuple('namespace', 'schedule'), '>', eb.tuple(namespace, schedule))
            : eb('namespace', '>', namespace),
        ]),
      ]),
    )
  }
  return query.execute()
}

export type StatsFilter = Common & { readonly queue?: string | undefined; readonly resolution: string }

/** What happened in queues, period by period, the newest first. */
export function findQueueStats(read: Read, filter: StatsFilter): Promise<QueueStatsRow[]> {
  let query = read
    .selectFrom('queue_stats')
    .selectAll()
    .where('resolution', '=', filter.resolution)
    .orderBy('start_ms', 'desc')
    .orderBy('namespace', 'desc')
    .orderBy('queue', 'desc')
    .limit(filter.limit)
  if (filter.namespace !== undefined) query = query.where('namespace', '=', filter.namespace)
  if (filter.queue !== undefined) query = query.where('queue', '=', filter.queue)
  if (filter.sinceMs !== undefined) query = query.where('start_ms', '>=', filter.sinceMs)
  if (filter.untilMs !== undefined) query = query.where('start_ms', '<', filter.untilMs)
  const { after } = filter
  if (after !== undefined) {
    const [start, namespace, queue] = after as [number, string, string]
    query = query.where((eb) =>
      eb(eb.refTuple('start_ms', 'namespace', 'queue'), '<', eb.tuple(start, namespace, queue)),
    )
  }
  return query.execute()
}

import { LEDGER_STATES, namespaceSchema, timeSchema } from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { z } from 'zod'
import {
  findAttempts,
  findGas,
  findQueueStats,
  findSchedules,
  findSubscriptions,
  findTicks,
} from '../queries/read-models.ts'
import { RESOLUTIONS, type Resolution } from '../read-models/queue-stats.ts'
import type { Store } from '../store/open-store.ts'
import { addListRoute } from './list-route.ts'
import {
  ATTEMPT_OUTCOMES,
  showAttempt,
  showGas,
  showSchedule,
  showStats,
  showSubscription,
  showTick,
} from './row-views.ts'

const namespace = namespaceSchema.optional()
const queue = z.string().min(1).max(80).optional().describe('its address: send-mail, or schedule:nightly-sync')
const time = z.string()
const daySchema = z.iso.date()

/** A period of time, of the field that the list is ordered by. */
const period = (field: string) => ({
  since: timeSchema.optional().describe(`${field} then or later`),
  until: timeSchema.optional().describe(`${field} before`),
})
const toPeriod = ({ since, until }: { since?: string | undefined; until?: string | undefined }) => ({
  sinceMs: since === undefined ? undefined : Math.ceil(Date.parse(since)),
  untilMs: until === undefined ? undefined : Math.ceil(Date.parse(until)),
})

/** The lists of the platform's read models, all of them folds of the log. Jobs have routes of their own. */
export function addReadModelRoutes(server: AppServer, { read }: Pick<Store, 'read'>): void {
  addListRoute(server, {
    url: '/v1/attempts',
    summary: 'Deliveries of jobs, the newest first',
    member: 'attempts',
    filters: {
      ...{ namespace, queue, jobId: z.string().max(100).optional(), outcome: z.enum(ATTEMPT_OUTCOMES).optional() },
      reason: z.string().max(100).optional().describe('the class of the error: timeout, http_status, …'),
      ...period('started'),
    },
    item: z.object({
      ...{ jobId: z.string(), namespace: z.string(), queue: z.string(), attempt: z.int(), epoch: z.int() },
      ...{ outcome: z.string(), startedAt: time, finishedAt: time.optional(), durationMs: z.number().optional() },
      ...{ status: z.int().optional(), reason: z.string().optional(), consumer: z.string().optional() },
    }),
    find: (query, page) => findAttempts(read, { ...query, ...toPeriod(query), ...page }),
    keyOf: (row) => [row.started_at_ms, row.job_id, row.epoch],
    show: showAttempt,
  })

  addListRoute(server, {
    url: '/v1/schedules',
    summary: 'Schedules as the log tells of them, by namespace and name; those removed as well',
    member: 'schedules',
    filters: { namespace },
    item: z.object({
      ...{ namespace: z.string(), name: z.string(), rule: z.unknown().optional(), nextAt: time.optional() },
      ...{ lastFiredAt: time.optional(), fired: z.int(), skipped: z.int(), missed: z.int() },
      ...{ pausedAt: time.optional(), pausedBy: z.string().optional(), removedAt: time.optional(), updatedAt: time },
    }),
    find: (query, page) => findSchedules(read, { ...query, ...page }),
    keyOf: (row) => [row.namespace, row.name],
    show: showSchedule,
  })

  addListRoute(server, {
    url: '/v1/ticks',
    summary: 'What became of nominal times, the newest first',
    member: 'ticks',
    filters: {
      ...{ namespace, schedule: z.string().max(80).optional(), state: z.enum(LEDGER_STATES).optional() },
      reason: z.string().max(100).optional().describe('window, overlap, paused, gap, take or changed'),
      ...period('nominal time'),
    },
    item: z.object({
      ...{ namespace: z.string(), schedule: z.string(), id: z.string(), kind: z.string(), state: z.string() },
      ...{ reason: z.string().optional(), at: time, until: time.optional(), count: z.int() },
      ...{ lateMs: z.number().optional(), firedAt: time.optional(), jobId: z.string().optional() },
      jobState: z.string().optional().describe('how the run stands'),
      endedAt: time.optional(),
      gas: z.number().optional().describe('tokens charged'),
    }),
    find: (query, page) => findTicks(read, { ...query, ...toPeriod(query), ...page }),
    keyOf: (row) => [row.at_ms, row.namespace, row.schedule, row.id],
    show: showTick,
  })

  addListRoute(server, {
    url: '/v1/subscriptions',
    summary: 'Subscriptions as the log tells of them, by namespace and name',
    member: 'subscriptions',
    filters: { namespace },
    item: z.object({
      ...{ namespace: z.string(), name: z.string(), events: z.int(), lastEventAt: time.optional() },
      losses: z.int().describe('how often retention took it ahead of events that it had not read'),
      ...{ lostAt: time.optional(), movedAt: time.optional(), movedBy: z.string().optional() },
      replay: z.object({ id: z.string(), state: z.string(), replayed: z.int().optional() }).optional(),
      updatedAt: time,
    }),
    find: (query, page) => findSubscriptions(read, { ...query, ...page }),
    keyOf: (row) => [row.namespace, row.name],
    show: showSubscription,
  })

  addListRoute(server, {
    url: '/v1/gas',
    summary: 'Gas by namespace and day (UTC), the newest day first',
    member: 'gas',
    filters: {
      ...{ namespace, schedule: z.string().max(80).optional() },
      from: daySchema.optional().describe('the first day, such as 2026-11-01'),
      to: daySchema.optional().describe('the last day'),
      by: z.enum(['day', 'schedule']).default('day').describe('schedule: a row for each schedule and day'),
    },
    item: z.object({
      ...{ day: z.string(), namespace: z.string(), schedule: z.string().optional() },
      tokens: z.number(),
      ticks: z.int().describe('delivered ticks that were charged for'),
    }),
    find: (query, page) => findGas(read, { ...query, ...page }),
    keyOf: (row) => [row.day, row.namespace, row.schedule],
    show: showGas,
  })

  addListRoute(server, {
    url: '/v1/stats/queues',
    summary: 'What happened in queues in each minute, hour or day (UTC), the newest first',
    member: 'stats',
    filters: {
      ...{ namespace, queue },
      resolution: z.enum(Object.keys(RESOLUTIONS) as [Resolution, ...Resolution[]]).default('minute'),
      ...period('begun'),
    },
    item: z.object({
      ...{ namespace: z.string(), queue: z.string(), start: time, enqueued: z.int(), started: z.int() },
      ...{ succeeded: z.int(), failed: z.int(), postponed: z.int(), dead: z.int(), cancelled: z.int() },
      expired: z.int(),
      waitMs: z.object({ mean: z.number(), max: z.number() }).describe('from ready to started'),
      runMs: z.object({ mean: z.number(), max: z.number() }).describe('of attempts that ended'),
    }),
    find: (query, page) => findQueueStats(read, { ...query, ...toPeriod(query), ...page }),
    keyOf: (row) => [row.start_ms, row.namespace, row.queue],
    show: showStats,
  })
}

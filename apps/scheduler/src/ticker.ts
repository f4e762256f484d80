import { decideTick, type TickDecision } from '@millrace/engine'
import { type Clock, type Logger, type Loop, startLoop } from '@millrace/runtime'
import { type Partition, type Partitions, type RegistryView, tick } from '@millrace/streams'
import type { SchedulerMetrics } from './metrics.ts'
import { type Schedule, schedulesOf } from './schedules.ts'
import { tickData, tickId } from './tick-data.ts'

export interface TickerDeps {
  readonly partition: Partition
  readonly partitions: Partitions
  readonly registry: RegistryView
  readonly metrics: SchedulerMetrics
  readonly clock: Clock
  readonly logger: Logger
  onError(error: unknown): void
}

/** A look at the plan at least this often, in case it changed without our hearing of it. */
const SWEEP_MS = 1000
const DUE_LIMIT = 500

/**
 * Fire what is due in one partition, then sleep until the next planned time. There is no leader: the `tick` script
 * compares the nominal time with the planned one, so of many schedulers one fires and the others find it done.
 */
export function startTicker(deps: TickerDeps): Loop {
  const { partition, partitions, registry, clock, onError } = deps
  return startLoop({
    name: `ticker-${partition.number}`,
    intervalMs: SWEEP_MS,
    onError,
    async run() {
      const due = await partition.redis.zrangebyscore(
        partition.keys.ticks,
        '-inf',
        clock.now(),
        'WITHSCORES',
        'LIMIT',
        0,
        DUE_LIMIT,
      )
      const schedules =
        due.length > 0
          ? new Map(schedulesOf(registry, partitions).map((schedule) => [schedule.address, schedule]))
          : undefined
      for (let at = 0; at < due.length; at += 2) {
        const schedule = schedules?.get(due[at] as string)
        // Not ours to know yet, or no longer declared: the planner sees to it.
        if (schedule) await fireDue(schedule, Number(due[at + 1]), deps)
      }
      return untilNext(partition, clock)
    },
  })
}

async function fireDue(schedule: Schedule, plannedMs: number, { metrics, clock, logger }: TickerDeps): Promise<void> {
  const { namespace, name, address, partition, rule } = schedule
  const nowMs = clock.now()
  const decision = decideTick(rule, { plannedMs, nowMs })
  const result = await tick(partition, { address, nominalMs: plannedMs, ...toTick(schedule, decision, nowMs) })
  if (result.kind === 'stale') return
  const labels = { namespace, schedule: name }
  if (decision.missed) {
    metrics.ticks.inc({ ...labels, result: 'missed' }, decision.missed.count)
    logger.warn({ event: 'schedule.missed', schedule: address, ...decision.missed }, 'nominal times were missed')
  }
  metrics.next.set(labels, (decision.nextMs ?? 0) / 1000)
  if (result.kind !== 'fired') return
  const lateMs = clock.now() - (decision.fireMs as number)
  metrics.ticks.inc({ ...labels, result: 'fired' })
  metrics.lateness.observe(labels, Math.max(0, lateMs) / 1000)
  logger.info({ event: 'schedule.fired', schedule: address, jobId: result.id, lateMs }, 'schedule fired')
}

function toTick(schedule: Schedule, { fireMs, missed, nextMs }: TickDecision, nowMs: number) {
  return {
    ...(nextMs !== undefined && { nextMs }),
    ...(missed && { missed: { count: missed.count, from: iso(missed.fromMs), to: iso(missed.toMs) } }),
    ...(fireMs !== undefined && {
      data: tickData(schedule, { nominalMs: fireMs, firedMs: nowMs }),
      event: { tickId: tickId(schedule, fireMs), scheduledAt: iso(fireMs), lateMs: Math.max(0, nowMs - fireMs) },
    }),
  }
}

async function untilNext(partition: Partition, clock: Clock): Promise<number | undefined> {
  const [, next] = await partition.redis.zrange(partition.keys.ticks, '0', '0', 'WITHSCORES')
  // An overdue head that nobody here may fire must not make the loop spin.
  if (next === undefined || Number(next) <= clock.now()) return undefined
  return Number(next) - clock.now()
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

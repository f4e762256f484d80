import { decideTick, type TickDecision } from '@millrace/engine'
import { type Logger, type Loop, startLoop } from '@millrace/runtime'
import {
  dueTicks,
  type Partition,
  type Partitions,
  type RegistryView,
  type StoredPlan,
  type Ticked,
  tick,
} from '@millrace/streams'
import type { SchedulerMetrics } from './metrics.ts'
import { type Schedule, schedulesOf } from './schedules.ts'
import { type TickContext, toTick } from './tick-call.ts'

export interface TickerDeps {
  readonly partition: Partition
  readonly partitions: Partitions
  readonly registry: RegistryView
  readonly metrics: SchedulerMetrics
  readonly logger: Logger
  readonly tz: string
  readonly gas: number
  /** Rows that a ledger keeps. */
  readonly keep: number
  /** The queue of a declared schedule is closed: it went away and came back. */
  onClosed(address: string): void
  onError(error: unknown): void
}

/** A look at the plan at least this often, in case it changed without our hearing of it. */
const SWEEP_MS = 1000
/** Schedules per script call: enough to make a call worth its while, few enough that the store serves others in between. */
const BATCH = 50

interface DueSchedule {
  readonly schedule: Schedule
  readonly plan: TickContext['plan']
}

/**
 * Fire what is due in one partition, then sleep until the next planned time. There is no leader: the `tick` script
 * compares the nominal time with the planned one, so of many schedulers one fires and the others find it done. What is due
 * is judged by the store's clock; ours only measures how long to sleep.
 */
export function startTicker(deps: TickerDeps): Loop {
  const { partition, onError } = deps
  return startLoop({
    name: `ticker-${partition.number}`,
    intervalMs: SWEEP_MS,
    onError,
    async run() {
      const look = await dueTicks(partition)
      const lookedAt = performance.now()
      const elapsedMs = () => performance.now() - lookedAt
      const due = known(look.due, deps)
      const batches = []
      // The next batch is decided while the store carries out the one before.
      for (let at = 0; at < due.length; at += BATCH)
        batches.push(fireBatch(due.slice(at, at + BATCH), () => look.nowMs + elapsedMs(), deps))
      const fired = await Promise.all(batches)
      // What fired is planned anew, maybe as the next of all: look when that is, or each second would begin where the last ended.
      if (fired.includes(true)) return 0
      return look.nextInMs === undefined ? undefined : Math.max(0, look.nextInMs - elapsedMs())
    },
  })
}

/** Those that this view of the registry knows; the planner sees to the others. */
function known(due: readonly { address: string; plan: StoredPlan }[], deps: TickerDeps): DueSchedule[] {
  if (due.length === 0) return []
  const schedules = new Map(schedulesOf(deps.registry, deps.partitions).map((each) => [each.address, each]))
  return due.flatMap(({ address, plan: { nominalMs, ...plan } }) => {
    const schedule = schedules.get(address)
    // Planned by another rule than we know: whoever knows that one fires it, or the planner plans anew.
    if (!schedule || nominalMs === undefined || schedule.ruleText !== plan.rule) return []
    return [{ schedule, plan: { ...plan, nominalMs } }]
  })
}

/** True when the plan of any of them moved. */
async function fireBatch(due: readonly DueSchedule[], now: () => number, deps: TickerDeps): Promise<boolean> {
  const { partition, tz, gas, keep } = deps
  const nowMs = Math.floor(now())
  const decided = due.map(({ schedule, plan }) => {
    const { nominalMs: plannedMs, afterMs } = plan
    const decision = decideTick(schedule.rule, { plannedMs, afterMs, nowMs })
    return { schedule, decision, call: toTick(schedule, decision, { plan, nowMs, tz, gas }) }
  })
  const results = await tick(
    partition,
    decided.map(({ call }) => call),
    { keep },
  )
  const firedMs = now()
  for (const [index, { schedule, decision }] of decided.entries())
    report(schedule, decision, { result: results[index] as Ticked, afterMs: firedMs - nowMs }, deps)
  return results.some(({ kind }) => kind === 'done')
}

/** Count and log what a call came to, where we were the one whose call counted. */
function report(
  { namespace, name, address }: Schedule,
  { fire, passedOver, next }: TickDecision,
  { result, afterMs }: { result: Ticked; afterMs: number },
  { metrics, logger, onClosed }: TickerDeps,
): void {
  if (result.kind === 'closed') onClosed(address)
  if (result.kind !== 'done') return
  const labels = { namespace, schedule: name }
  metrics.next.set(labels, (next?.fireMs ?? 0) / 1000)
  for (const { state, count } of passedOver) metrics.ticks.inc({ ...labels, result: state }, count)
  const [first, last] = [passedOver[0], passedOver.at(-1)]
  if (first && last) {
    const count = passedOver.reduce((sum, each) => sum + each.count, 0)
    const fields = { schedule: address, count, fromMs: first.fromMs, toMs: last.toMs }
    logger.warn({ event: 'schedule.missed', ...fields }, 'nominal times were passed over')
  }
  for (const [index, fired] of result.fires.entries()) {
    const { lateMs, nominalMs } = fire[index] as TickDecision['fire'][number]
    const fields = { schedule: address, scheduledAt: new Date(nominalMs).toISOString() }
    if (fired.kind === 'skipped') {
      metrics.ticks.inc({ ...labels, result: 'skipped' })
      logger.info({ event: 'schedule.skipped', ...fields, reason: fired.reason }, 'schedule did not fire')
    }
    if (fired.kind !== 'fired') continue
    const totalMs = Math.max(0, lateMs) + afterMs
    metrics.ticks.inc({ ...labels, result: 'fired' })
    metrics.delay.observe(labels, totalMs / 1000)
    logger.info({ event: 'schedule.fired', ...fields, jobId: fired.id, lateMs: Math.round(totalMs) }, 'schedule fired')
  }
}

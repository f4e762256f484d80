import { planAfter, ruleOfText, timesLeft } from '@millrace/engine'
import { type Logger, Pulse } from '@millrace/runtime'
import {
  limitsOf,
  openQueues,
  type Partition,
  type Partitions,
  type Plan,
  plan,
  type RegistryView,
  readLastSuccesses,
  readPlans,
  readSchedulePauses,
  removePlan,
  type StoredPlan,
  splitAddress,
  storeTime,
  type TimesDue,
} from '@millrace/streams'
import type { SchedulerMetrics } from './metrics.ts'
import { type Schedule, schedulesOf } from './schedules.ts'

/** Plans are compared with the registry this often, besides at each change. */
export const PLAN_SWEEP_MS = 5000

export interface PlannerDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: SchedulerMetrics
  readonly logger: Logger
  /** A schedule is declared no more: its series go. */
  forget(labels: ScheduleLabels): void
  /** The version of the time-zone database, `2026a`. */
  readonly tz: string
}

export interface Planner {
  /** Rejects when it failed in a partition; all others are planned all the same. */
  planAll(): Promise<void>
  /** Why plans of a partition are not kept, undefined when they are. */
  planProblem(partition: number): string | undefined
  /** Open a schedule's queue again at the next planning: it was closed, and is declared. */
  reopen(address: string): void
}

/**
 * Bring the planned ticks in line with the registry: plan what is new or has another rule, move what another time-zone
 * database had computed, remove what is no longer declared. Any number of schedulers may do it at any time; the `plan`
 * script changes nothing that is right already.
 */
export function createPlanner(deps: PlannerDeps): Planner {
  const places = deps.partitions.all.map(placeOf)
  let known = new Map<string, Schedule>()
  const planAll = async () => {
    const schedules = schedulesOf(deps.registry, deps.partitions)
    const results = await Promise.allSettled(
      places.map((place) => {
        const here = schedules.filter(({ partition }) => partition === place.partition)
        return planPlace(place, here, deps)
      }),
    )
    setGauges(
      places.flatMap(({ states }) => states),
      deps.metrics,
    )
    known = forgetRemoved(known, schedules, deps)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }
  return {
    planAll,
    planProblem(partition) {
      const place = places[partition]
      return place?.isPlanned === false ? 'has not planned yet' : place?.pulse.problem()
    },
    reopen(address) {
      for (const { opened } of places) opened.delete(address)
    },
  }
}

/** What is known of one partition: a primary that is away must not keep the plans of others from being made. */
interface Place {
  readonly partition: Partition
  /** Limits of queues as we opened them last. */
  readonly opened: Map<string, string>
  readonly pulse: Pulse
  isPlanned: boolean
  /** Of the last time that it went well. */
  states: readonly State[]
}

function placeOf(partition: Partition): Place {
  const pulse = new Pulse({ done: 'planned', everyMs: 4 * PLAN_SWEEP_MS, failingForMs: 4 * PLAN_SWEEP_MS })
  return { partition, opened: new Map(), pulse, isPlanned: false, states: [] }
}

async function planPlace(place: Place, schedules: Schedule[], deps: PlannerDeps): Promise<void> {
  await openNew(place, schedules)
  place.states = await planPartition(place.partition, schedules, deps)
  place.isPlanned = true
  place.pulse.beat()
}

interface ScheduleLabels {
  readonly namespace: string
  readonly schedule: string
}

function labelsOf({ namespace, name }: Schedule): ScheduleLabels {
  return { namespace, schedule: name }
}

function forgetRemoved(known: Map<string, Schedule>, schedules: readonly Schedule[], { forget }: PlannerDeps) {
  const now = new Map(schedules.map((schedule) => [schedule.address, schedule]))
  for (const [address, schedule] of known) if (!now.has(address)) forget(labelsOf(schedule))
  return now
}

interface State {
  readonly schedule: Schedule
  readonly fireMs: number
  readonly succeededMs: number
  readonly paused: boolean
}

async function planPartition(partition: Partition, schedules: Schedule[], deps: PlannerDeps): Promise<State[]> {
  const plans = await readPlans(partition)
  const nowMs = await storeTime(partition)
  for (const schedule of schedules) await planOne(schedule, plans.get(schedule.address), { nowMs, deps })
  const declared = new Set(schedules.map(({ address }) => address))
  for (const [address, known] of plans) {
    // A namespace that this view has not seen yet is not one that was removed.
    if (declared.has(address) || !deps.registry.service(splitAddress(address).namespace)) continue
    if ((await removePlan(partition, address, timesDue(known, nowMs))) === 'removed')
      deps.logger.info({ event: 'schedule.removed', schedule: address }, 'schedule removed')
  }
  const [current, successes, pauses] = await Promise.all([
    readPlans(partition),
    readLastSuccesses(partition),
    readSchedulePauses(partition),
  ])
  return schedules.map((schedule) => ({
    schedule,
    fireMs: current.get(schedule.address)?.fireMs ?? 0,
    succeededMs: successes.get(schedule.address) ?? 0,
    paused: schedule.declared.paused === true || pauses.has(schedule.address),
  }))
}

/** All at once, so that what is no longer declared leaves no time behind that looks overdue. */
function setGauges(states: readonly State[], { ticks, next, lastSuccess, paused }: SchedulerMetrics): void {
  for (const gauge of [next, lastSuccess, paused]) gauge.clear()
  for (const { schedule, ...state } of states) {
    const labels = labelsOf(schedule)
    // From the start, so that the first time that is missed is an increase.
    ticks.labels({ ...labels, result: 'missed' })
    next.set(labels, state.fireMs / 1000)
    lastSuccess.set(labels, state.succeededMs / 1000)
    paused.set(labels, state.paused ? 1 : 0)
  }
}

async function openNew({ partition, opened }: Place, schedules: Schedule[]): Promise<void> {
  const queues = schedules.map(({ address, definition }) => ({ address, limits: limitsOf(definition) }))
  const changed = queues.filter(({ address, limits }) => opened.get(address) !== JSON.stringify(limits))
  await openQueues(partition, changed)
  opened.clear()
  for (const { address, limits } of queues) opened.set(address, JSON.stringify(limits))
}

async function planOne(
  schedule: Schedule,
  known: StoredPlan | undefined,
  { nowMs, deps: { logger, metrics, tz } }: { nowMs: number; deps: PlannerDeps },
): Promise<void> {
  const { partition, address, rule, ruleText } = schedule
  const isKnown = known?.rule === ruleText
  if (isKnown && known.tz >= tz) return
  // Another database: what was the first time after that same point, with what is known now?
  const next = isKnown ? planFrom(schedule, known.afterMs, tz) : firstPlan(schedule, nowMs, tz)
  const moved = isKnown ? { movedFromMs: known.nominalMs ?? ('never' as const) } : {}
  const due = isKnown ? undefined : timesDue(known, nowMs)
  const result = await plan(partition, { address, rule: ruleText, plan: next, due, ...moved })
  if (result !== 'planned' && result !== 'moved') return
  if (due) metrics.ticks.inc({ ...labelsOf(schedule), result: 'missed' }, due.count)
  const nextAt = next.nominalMs && new Date(next.nominalMs).toISOString()
  const fields = { schedule: address, cron: rule.cron, timezone: rule.timezone, nextAt, tz }
  if (result === 'planned') logger.info({ event: 'schedule.planned', ...fields }, 'schedule planned')
  else logger.warn({ event: 'schedule.moved', ...fields, from: known?.tz }, 'another time-zone database moved a tick')
}

/** What is due by a plan that ends: the ledger is to say that nobody fires it any more. */
function timesDue(known: StoredPlan | undefined, nowMs: number): TimesDue | undefined {
  const { rule = '', nominalMs } = known ?? {}
  const old = ruleOfText(rule)
  if (!old || nominalMs === undefined || nominalMs > nowMs) return undefined
  return timesLeft(old, { plannedMs: nominalMs, nowMs })
}

/** A single time that has passed is planned all the same: how late it may fire is the catch-up's to say, and the ledger's to keep. */
function firstPlan(schedule: Schedule, nowMs: number, tz: string): Plan {
  const { at } = schedule.rule
  return planFrom(schedule, at === undefined ? nowMs : Math.min(nowMs, Date.parse(at) - 1), tz)
}

function planFrom({ rule }: Schedule, afterMs: number, tz: string): Plan {
  return { ...planAfter(rule, afterMs), afterMs, tz }
}

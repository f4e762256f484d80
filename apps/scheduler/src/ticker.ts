import { setTimeout as delay } from 'node:timers/promises'
import { decideTick, type TickDecision } from '@millrace/engine'
import { type Logger, type Loop, startLoop } from '@millrace/runtime'
import {
  type DueTick,
  dueTicks,
  type Partition,
  type Partitions,
  type PreparedTick,
  prepareTick,
  type RegistryView,
  sendTicks,
  storeClock,
  type Ticked,
} from '@millrace/streams'
import type { SendSpan } from '@millrace/traces'
import type { SchedulerMetrics } from './metrics.ts'
import { type Schedule, schedulesOf } from './schedules.ts'
import { toTick } from './tick-call.ts'
import { rowName, tickIdOf } from './tick-data.ts'
import { endTicks, type TickTraces } from './tick-traces.ts'

export interface TickerDeps {
  readonly partition: Partition
  readonly partitions: Partitions
  readonly registry: RegistryView
  readonly metrics: SchedulerMetrics
  readonly logger: Logger
  readonly tz: string
  readonly gas: number
  /** Rows that a ledger keeps where they are not filed later. */
  readonly keep: number
  /** Only where ticks are traced. */
  readonly traces?: TickTraces | undefined
  /** The queue of a declared schedule is closed: it went away and came back. */
  onClosed(address: string): void
  /** It looked at the plan, and what was due is fired. */
  onTicked(): void
  /** Ticks fired, whose rows are to be filed. */
  onFired(): void
  onError(error: unknown): void
}

/** A look at the plan at least this often, in case it changed without our hearing of it. */
const SWEEP_MS = 1000
/**
 * What fires so soon is decided before its time and then only sent: a decision takes 30 to 60 µs, and of a thousand due at
 * once the last would wait for all of them. A plan that is made meanwhile and due even sooner is found that much late at most.
 */
const AHEAD_MS = 150
/** Schedules per script call, 4 to 5 ms of the store: enough to make a call worth its while, few enough that others are served in between. */
const BATCH = 100
/** Due so close together that they share a call; the first of them is that much late. */
const TOGETHER_MS = 5
/** A call that could not be sent for so long was decided for another time: what is late may have to be passed over. */
const OUTDATED_MS = 500

interface DueSchedule {
  readonly schedule: Schedule
  readonly due: DueTick
  readonly fireMs: number
}

/** Schedules that fire together, once the last of them is due. */
interface Batch {
  readonly sendMs: number
  readonly due: readonly DueSchedule[]
}

/** What one call came to. It is counted and logged once all have come back: until then that would only hold up the store. */
interface Sent {
  readonly prepared: readonly Prepared[]
  readonly results: readonly Ticked[]
}

interface Prepared {
  readonly schedule: Schedule
  readonly decision: TickDecision
  readonly call: PreparedTick
  readonly spans: readonly SendSpan[] | undefined
}

/**
 * Fire what is due in one partition, then sleep until shortly before the next planned time. There is no leader: the `tick`
 * script compares the plan with the one we saw, so of many schedulers one fires and the others find it done. What is due is
 * judged by the store's clock; ours only measures how long to sleep.
 */
export function startTicker(deps: TickerDeps): Loop {
  const { partition, onError } = deps
  return startLoop({
    name: `ticker-${partition.number}`,
    intervalMs: SWEEP_MS,
    onError,
    async run(signal) {
      const askedAt = performance.now()
      const look = await dueTicks(partition, { aheadMs: AHEAD_MS })
      const batches = inBatches(known(look.due, deps), look.nowMs)
      const due = batches.filter(({ sendMs }) => sendMs <= look.nowMs)
      const soon = batches.filter(({ sendMs }) => sendMs > look.nowMs)
      // What is due already is on its way while the rest is decided.
      const sent = due.map((batch) => fire(prepare(batch, { nowMs: look.nowMs, inMs: 0 }, deps), deps))
      const prepared = soon.map((batch) => {
        const { sendMs } = batch
        return { sendMs, calls: prepare(batch, { nowMs: sendMs, inMs: sendMs - look.nowMs }, deps) }
      })
      const clock = prepared.length > 0 ? await storeClock(partition) : () => look.nowMs
      for (const { sendMs, calls } of prepared) {
        if (!(await sleepUntil(sendMs, clock, signal)) || clock() > sendMs + OUTDATED_MS) break
        sent.push(fire(calls, deps))
      }
      const fired = (await Promise.all(sent)).map((each) => reportAll(each, deps))
      deps.onTicked()
      // What fired is planned anew, maybe as the next of all: look when that is, or each second would begin where the last ended.
      if (fired.includes(true)) {
        deps.onFired()
        return 0
      }
      return look.nextInMs === undefined
        ? undefined
        : Math.max(0, look.nextInMs - AHEAD_MS - (performance.now() - askedAt))
    },
  })
}

/** Those that this view of the registry knows; the planner sees to the others. */
function known(due: readonly DueTick[], deps: TickerDeps): DueSchedule[] {
  if (due.length === 0) return []
  const schedules = new Map(schedulesOf(deps.registry, deps.partitions).map((each) => [each.address, each]))
  return due.flatMap((each) => {
    const schedule = schedules.get(each.address)
    const { rule, nominalMs, fireMs = nominalMs } = each.plan
    // Planned by another rule than we know: whoever knows that one fires it, or the planner plans anew.
    if (!schedule || fireMs === undefined || schedule.ruleText !== rule) return []
    return [{ schedule, due: each, fireMs }]
  })
}

/** In the order of their times. */
function inBatches(due: readonly DueSchedule[], nowMs: number): Batch[] {
  const batches: { firstMs: number; sendMs: number; due: DueSchedule[] }[] = []
  for (const each of due) {
    const sendMs = Math.max(each.fireMs, nowMs)
    const last = batches.at(-1)
    if (last && last.due.length < BATCH && sendMs <= last.firstMs + TOGETHER_MS) {
      last.due.push(each)
      last.sendMs = sendMs
    } else batches.push({ firstMs: sendMs, sendMs, due: [each] })
  }
  return batches
}

/** Decide what happens at `nowMs` by the store's clock, which is in `inMs`. */
function prepare({ due }: Batch, { nowMs, inMs }: { nowMs: number; inMs: number }, deps: TickerDeps): Prepared[] {
  const { tz, gas, traces } = deps

  return due.map(({ schedule, due: seen }) => {
    const { nominalMs: plannedMs = nowMs, afterMs } = seen.plan
    const decision = decideTick(schedule.rule, { plannedMs, afterMs, nowMs })
    const spans =
      traces &&
      decision.fire.map(({ nominalMs }) =>
        traces.begin(schedule, { tickId: tickIdOf(schedule, rowName(nominalMs)), inMs }),
      )
    const call = prepareTick(toTick(schedule, decision, { due: seen, nowMs, tz, gas, spans }))
    return { schedule, decision, spans, call }
  })
}

async function fire(prepared: readonly Prepared[], deps: TickerDeps): Promise<Sent> {
  const calls = prepared.map(({ call }) => call)
  return { prepared, results: await sendTicks(deps.partition, calls, { keep: deps.keep }) }
}

/** True when the plan of any of them moved. */
function reportAll({ prepared, results }: Sent, deps: TickerDeps): boolean {
  for (const [index, { schedule, decision, spans }] of prepared.entries()) {
    const result = results[index] as Ticked
    if (result.kind === 'done') endTicks(spans, result.fires)
    report(schedule, decision, result, deps)
  }
  return results.some(({ kind }) => kind === 'done')
}

/** False when told to stop before. */
async function sleepUntil(atMs: number, now: () => number, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted && now() < atMs) {
    // A timer may end a fraction of a millisecond early.
    await delay(Math.ceil(atMs - now()), undefined, { signal }).catch(() => undefined)
  }
  return !signal.aborted
}

/** Count and log what a call came to, where we were the one whose call counted. */
function report(
  { namespace, name, address }: Schedule,
  { fire, passedOver, next }: TickDecision,
  result: Ticked,
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
    const { nominalMs } = fire[index] as TickDecision['fire'][number]
    const fields = { schedule: address, scheduledAt: new Date(nominalMs).toISOString() }
    if (fired.kind === 'skipped') {
      metrics.ticks.inc({ ...labels, result: 'skipped' })
      logger.info({ event: 'schedule.skipped', ...fields, reason: fired.reason }, 'schedule did not fire')
    }
    if (fired.kind !== 'fired') continue
    metrics.ticks.inc({ ...labels, result: 'fired' })
    metrics.delay.observe(labels, fired.lateMs / 1000)
    logger.info({ event: 'schedule.fired', ...fields, jobId: fired.id, lateMs: fired.lateMs }, 'schedule fired')
  }
}

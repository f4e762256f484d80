import { queueAddress } from '@millrace/contracts'
import { afterBackfilling, type BackfillState, nextBackfillMove, stopBackfill } from '@millrace/engine'
import { type Loop, startSteps } from '@millrace/runtime'
import {
  fullAddress,
  type Partition,
  type Partitions,
  type RegistryView,
  readBackfill,
  readRows,
  runningBackfills,
  sharedLease,
  storeTime,
  type TickFire,
} from '@millrace/streams'
import type { TraceCarrier } from '@millrace/traces'
import { type KnownBackfill, saveBackfill } from './backfill-store.ts'
import type { SchedulerMetrics } from './metrics.ts'
import { type Schedule, schedulesOf } from './schedules.ts'
import { rowName, tickData, tickIdOf, tickMeta } from './tick-data.ts'
import { endTicks, type TickTraces } from './tick-traces.ts'

export interface BackfillerDeps {
  readonly partitions: Partitions
  readonly registry: RegistryView
  readonly metrics: SchedulerMetrics
  readonly tz: string
  readonly gas: number
  readonly keep: number
  readonly traces?: TickTraces | undefined
  onError(error: unknown): void
}

const LEASE_MS = 15_000
/** How soon a backfill is noticed that was begun through another scheduler, or left by one that died. */
const SWEEP_MS = 1000

/** Advance the backfills that run, in every partition that no other scheduler advances. */
export function startBackfiller(deps: BackfillerDeps): Loop {
  return startSteps({
    name: 'backfiller',
    places: deps.partitions.all,
    sweepMs: SWEEP_MS,
    running: runningBackfills,
    lease: sharedLease({ name: 'backfiller', ttlMs: LEASE_MS }),
    step: (partition, id) => takeStep(partition, id, deps),
    onError: deps.onError,
  })
}

/** One step of one backfill. Returns in how many ms the next is worth trying; 0 = now. */
async function takeStep(partition: Partition, id: string, deps: BackfillerDeps): Promise<number> {
  const text = await readBackfill(partition, id)
  if (text === undefined) return SWEEP_MS
  const state = JSON.parse(text) as BackfillState
  if (state.state !== 'running') return SWEEP_MS
  const address = fullAddress(state.namespace, queueAddress('schedule', state.schedule))
  const known = { partition, address, text, state }
  const { keep, registry, partitions } = deps
  const nowMs = await storeTime(partition)
  const schedule = schedulesOf(registry, partitions).find((each) => each.address === address)
  if (!schedule) {
    // A service that this view has not seen yet is not one that declares it no longer.
    if (registry.service(state.namespace)) {
      const next = stopBackfill(state, { who: 'millrace', why: 'the schedule is no longer declared', nowMs })
      await saveBackfill(known, { next, keep })
    }
    return SWEEP_MS
  }
  const move = nextBackfillMove(state, { rule: schedule.rule, nowMs })
  switch (move.kind) {
    case 'wait':
      return move.ms
    case 'end':
      await saveBackfill(known, { next: move.next, keep })
      return SWEEP_MS
    case 'fire':
      await fire(schedule, known, { times: move.times, nowMs, deps })
      return 0
    default:
      return move satisfies never
  }
}

/** Fire the next nominal times of a backfill, those that have fired before left out. */
async function fire(
  schedule: Schedule,
  known: KnownBackfill,
  { times, nowMs, deps }: { times: readonly number[]; nowMs: number; deps: BackfillerDeps },
): Promise<void> {
  const { partition, state } = known
  // A second run of a nominal time is another tick, and has another name.
  const nameOf = (nominalMs: number) => (state.again ? `${rowName(nominalMs)}+${state.id}` : rowName(nominalMs))
  const rows = await readRows(partition, { address: known.address, names: times.map(nameOf) })
  const open = times.filter((_, index) => rows[index]?.jobId === undefined)
  const next = afterBackfilling(state, { times, fired: open.length, nowMs })
  const spans = open.map((nominalMs) => deps.traces?.begin(schedule, { tickId: tickIdOf(schedule, nameOf(nominalMs)) }))
  const fires = open.map((nominalMs, index) =>
    toFire(schedule, { state, nominalMs, name: nameOf(nominalMs), deps, carrier: spans[index]?.carrier }),
  )
  const result = await saveBackfill(known, { next, fires, keep: deps.keep })
  if (result.kind !== 'done') return
  endTicks(spans, result.fires)
  const labels = { namespace: schedule.namespace, schedule: schedule.name }
  deps.metrics.ticks.inc({ ...labels, result: 'backfilled' }, open.length)
}

function toFire(
  schedule: Schedule,
  {
    state: { id: backfillId, who, why },
    nominalMs,
    name,
    deps: { tz, gas },
    carrier,
  }: {
    state: BackfillState
    nominalMs: number
    name: string
    deps: BackfillerDeps
    carrier: TraceCarrier | undefined
  },
): TickFire {
  const id = tickIdOf(schedule, name)
  const by = { who, ...(why !== undefined && { why }) }
  return {
    name,
    row: { atMs: nominalMs, kind: 'backfill', tickId: id, tz, ...by },
    fireMs: nominalMs,
    type: 'schedule.backfilled',
    event: { tickId: id, scheduledAt: rowName(nominalMs), backfillId, ...by },
    data: tickData(schedule, { nominalMs, id }),
    meta: tickMeta(schedule, { id, name, gas, carrier }),
  }
}

import { randomBytes } from 'node:crypto'
import { ProblemError } from '@millrace/contracts'
import { storeTime, tick } from '@millrace/streams'
import type { TraceCarrier } from '@millrace/traces'
import type { SchedulerMetrics } from './metrics.ts'
import type { Schedule } from './schedules.ts'
import { rowName, tickData, tickIdOf, tickMeta } from './tick-data.ts'
import { endTicks, type TickTraces } from './tick-traces.ts'

export interface TriggerDeps {
  readonly metrics: SchedulerMetrics
  readonly gas: number
  readonly keep: number
  readonly tz: string
  readonly traces?: TickTraces | undefined
}

export interface Trigger {
  readonly who: string
  readonly why?: string | undefined
  /** The trace context of whoever asks. */
  readonly carrier?: TraceCarrier | undefined
  readonly idempotencyKey?: string | undefined
}

/**
 * Run a schedule now, besides its plan: whether it is paused, and whatever its overlap says about planned ticks. It is not
 * merged with another run, unless the caller said by a key that they are one.
 */
export async function runNow(
  schedule: Schedule,
  { who, why, carrier, idempotencyKey }: Trigger,
  { metrics, gas, keep, tz, traces }: TriggerDeps,
): Promise<{ id: string; tickId: string; replayed: boolean }> {
  const nowMs = await storeTime(schedule.partition)
  // By hand there is no nominal time that two schedulers could both see, so each run has a name of its own.
  const name = `${rowName(nowMs)}+${randomBytes(4).toString('hex')}`
  const id = tickIdOf(schedule, name)
  const by = { who, ...(why !== undefined && { why }) }
  const span = traces?.beginByHand(schedule, { tickId: id, carrier })
  const [result] = await tick(
    schedule.partition,
    [
      {
        address: schedule.address,
        fires: [
          {
            name,
            row: { atMs: nowMs, kind: 'manual', tickId: id, tz, ...by },
            type: 'schedule.triggered',
            event: { tickId: id, ...by },
            data: tickData(schedule, { nominalMs: nowMs, id }),
            meta: tickMeta(schedule, { id, name, gas, carrier: span?.carrier ?? carrier }),
          },
        ],
        overlap: schedule.declared.overlap ?? 'allow',
        ...(idempotencyKey !== undefined && { onceKey: idempotencyKey }),
      },
    ],
    { keep },
  )
  const fired = result?.kind === 'done' ? result.fires[0] : undefined
  if (fired) endTicks([span], [fired])
  if (fired?.kind === 'replayed') return { id: fired.id, tickId: tickIdOf(schedule, fired.name), replayed: true }
  if (fired?.kind !== 'fired')
    throw new ProblemError('schedule.unknown', `Schedule "${schedule.address}" is no longer declared.`)
  metrics.ticks.inc({ namespace: schedule.namespace, schedule: schedule.name, result: 'triggered' })
  return { id: fired.id, tickId: id, replayed: false }
}

import type { Tracing } from '@millrace/runtime'
import type { Fired } from '@millrace/streams'
import { type SendSpan, startSend, type TraceCarrier } from '@millrace/traces'
import type { Schedule } from './schedules.ts'

/** A span for each nominal time that fires. */
export interface TickTraces {
  /** Of the plan, or of a backfill: it begins the trace of its run. `inMs`: it is decided so long before it is sent. */
  begin(schedule: Schedule, tick: { tickId: string; inMs?: number }): SendSpan
  /** By hand: it is under the request that asked for it. `carrier` is what the caller brought. */
  beginByHand(schedule: Schedule, tick: { tickId: string; carrier: TraceCarrier | undefined }): SendSpan
}

export function createTickTraces(tracing: Tracing | undefined): TickTraces | undefined {
  if (!tracing) return undefined
  const factsOf = ({ address }: Schedule, tickId: string) => ({
    operation: 'tick' as const,
    destination: address,
    attributes: { 'messaging.millrace.tick_id': tickId },
  })
  return {
    begin: (schedule, { tickId, inMs }) =>
      startSend(tracing.tracer, { ...factsOf(schedule, tickId), root: true, inMs }),
    beginByHand: (schedule, { tickId, carrier }) =>
      startSend(tracing.tracer, { ...factsOf(schedule, tickId), carrier }),
  }
}

/** A span that is not ended is never sent: of many schedulers that tried, the one that fired tells. */
export function endTicks(spans: readonly (SendSpan | undefined)[] | undefined, fired: readonly Fired[]): void {
  for (const [index, span] of (spans ?? []).entries()) {
    const result = fired[index]
    if (result?.kind !== 'fired') continue
    span?.end({ 'messaging.message.id': result.id, 'messaging.millrace.late_ms': result.lateMs })
  }
}

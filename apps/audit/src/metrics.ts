import { AUDIT_METRICS, EVENT_KINDS, type EventKind } from '@millrace/contracts'
import type { Metrics } from '@millrace/runtime'
import type { RecordRow } from './store/schema.ts'

/** The figures of the audit trail. */
export function createAuditMetrics(metrics: Metrics) {
  const { records, lastRecorded, ...instruments } = metrics.instruments(AUDIT_METRICS)
  // From the start, so that the first chain that is found broken is an increase.
  for (const result of ['intact', 'tampered', 'unverifiable', 'unknown'] as const)
    instruments.verified.labels({ result })
  return {
    ...instruments,
    recorded(rows: readonly RecordRow[]): void {
      const byKind = new Map<EventKind | 'other', number>()
      for (const { kind } of rows) byKind.set(knownKind(kind), (byKind.get(knownKind(kind)) ?? 0) + 1)
      for (const [kind, count] of byKind) records.inc({ kind }, count)
      const newest = rows.at(-1)
      if (newest) lastRecorded.set({}, newest.when_ms / 1000)
    },
  }
}
export type AuditMetrics = ReturnType<typeof createAuditMetrics>

/** The log is open to whoever may write to Redis, so a kind could be anything. */
function knownKind(kind: string): EventKind | 'other' {
  return EVENT_KINDS.find((known) => known === kind) ?? 'other'
}

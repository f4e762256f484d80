import { EVENT_KINDS } from '@millrace/contracts'
import { Counter, Gauge, Histogram, type Registry } from '@millrace/runtime'
import type { RecordRow } from './store/schema.ts'

/** The figures of the audit trail. Labels are words of ours: kinds and partitions, never namespaces or entities. */
export function createAuditMetrics(registry: Registry) {
  const registers = [registry]
  const partition = ['partition'] as const
  const records = new Counter({
    name: 'millrace_audit_records_total',
    help: 'Audit records written by this process',
    labelNames: ['kind'],
    registers,
  })
  const lastRecorded = new Gauge({
    name: 'millrace_audit_last_recorded_timestamp_seconds',
    help: 'Time of the newest event that this process has recorded',
    registers,
  })

  return {
    lagEntries: new Gauge({
      name: 'millrace_audit_lag_entries',
      help: 'Log entries that are not recorded yet',
      labelNames: partition,
      registers,
    }),
    lagSeconds: new Gauge({
      name: 'millrace_audit_lag_seconds',
      help: 'How long the oldest entry that is not recorded yet has waited',
      labelNames: partition,
      registers,
    }),
    recorder: new Gauge({
      name: 'millrace_audit_recorder',
      help: '1 while this process is the one that records the partition',
      labelNames: partition,
      registers,
    }),
    failures: new Counter({
      name: 'millrace_audit_record_failures_total',
      help: 'Times that recording had to pause because of an error',
      labelNames: partition,
      registers,
    }),
    foldDuration: new Histogram({
      name: 'millrace_audit_fold_duration_seconds',
      help: 'Time to fold one batch of the log into the store, commit included',
      // A batch of one is about an fsync, a batch of a thousand about 25 ms.
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),
    openStreams: new Gauge({
      name: 'millrace_audit_open_streams',
      help: 'Progress streams that are open in this process',
      registers,
    }),
    verified: new Counter({
      name: 'millrace_audit_verify_total',
      help: 'Chains verified',
      labelNames: ['result'],
      registers,
    }),
    recorded(rows: readonly RecordRow[]): void {
      const byKind = new Map<string, number>()
      for (const { kind } of rows) byKind.set(kind, (byKind.get(kind) ?? 0) + 1)
      for (const [kind, count] of byKind) records.inc({ kind: knownKind(kind) }, count)
      const newest = rows.at(-1)
      if (newest) lastRecorded.set(newest.when_ms / 1000)
    },
  }
}
export type AuditMetrics = ReturnType<typeof createAuditMetrics>

/** The log is open to whoever may write to Redis, so a kind could be anything. */
function knownKind(kind: string): string {
  return (EVENT_KINDS as readonly string[]).includes(kind) ? kind : 'other'
}

import { EVENT_KINDS } from '../events.ts'
import { BUCKETS } from './buckets.ts'
import type { MetricDefinitions } from './definition.ts'

const partition = { partition: 'partition' } as const

/** The figures of the audit trail: kinds and partitions, never namespaces or entities. */
export const AUDIT_METRICS = {
  records: {
    name: 'millrace_audit_records_total',
    type: 'counter',
    unit: 'records',
    help: 'Audit records written by this process',
    labels: { kind: [...EVENT_KINDS, 'other'] },
  },
  lastRecorded: {
    name: 'millrace_audit_last_recorded_timestamp_seconds',
    type: 'gauge',
    unit: 'timestamp',
    help: 'Time of the newest event that this process has recorded',
  },
  lagEntries: {
    name: 'millrace_audit_lag_entries',
    type: 'gauge',
    unit: 'entries',
    help: 'Log entries that are not recorded yet',
    labels: partition,
  },
  lagSeconds: {
    name: 'millrace_audit_lag_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'How long the oldest entry that is not recorded yet has waited',
    labels: partition,
  },
  recorder: {
    name: 'millrace_audit_recorder',
    type: 'gauge',
    unit: 'boolean',
    help: '1 while this process is the one that records the partition',
    labels: partition,
  },
  failures: {
    name: 'millrace_audit_record_failures_total',
    type: 'counter',
    unit: 'times',
    help: 'Times that recording had to pause because of an error',
    labels: partition,
  },
  trimmed: {
    name: 'millrace_stream_trimmed_entries_total',
    type: 'counter',
    unit: 'entries',
    help: 'Entries that this process took out of a log because every reader has them and retention has ended',
    labels: partition,
  },
  foldDuration: {
    name: 'millrace_audit_fold_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time to fold one batch of the log into the store, commit included',
    buckets: BUCKETS.fold,
  },
  openStreams: {
    name: 'millrace_audit_open_streams',
    type: 'gauge',
    unit: 'streams',
    help: 'Streams of server-sent events that are open in this process',
  },
  verified: {
    name: 'millrace_audit_verify_total',
    type: 'counter',
    unit: 'times',
    help: 'Chains verified',
    labels: { result: ['intact', 'tampered', 'unverifiable', 'unknown'] },
  },
  broken: {
    name: 'millrace_audit_broken',
    type: 'gauge',
    unit: 'chains',
    help: 'Chains and trails that the last sweep of this process found not to be intact',
    labels: { what: ['tampered', 'unverifiable'] },
  },
  swept: {
    name: 'millrace_audit_swept_timestamp_seconds',
    type: 'gauge',
    unit: 'timestamp',
    help: 'When the last sweep of this process ended',
  },
} as const satisfies MetricDefinitions

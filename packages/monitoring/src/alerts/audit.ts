import { AUDIT_METRICS } from '@millrace/contracts'
import { series } from '../expression.ts'
import type { Alert } from './alert.ts'

export const AUDIT_ALERTS: readonly Alert[] = [
  {
    name: 'MillraceAuditChainBroken',
    severity: 'critical',
    // The sweep's own count holds until the next sweep, and also has trails with holes; what a person verifies comes at once.
    expr: [
      `max by (app) (${series(AUDIT_METRICS.broken, { what: 'tampered' })}) > 0`,
      `sum by (app) (increase(${series(AUDIT_METRICS.verified, { result: 'tampered' })}[15m])) > 0`,
    ].join(' or '),
    summary: 'The audit trail has been changed',
    description:
      'A chain did not verify. Keep the store as it is, export it, and see with GET /v1/verify which records: somebody has written to the database by hand.',
    means: 'A record was changed, removed or put in behind the back of the audit app, or the disk is at fault.',
    steps: [
      'Change nothing: copy the store as it is, it is evidence.',
      '`millrace audit verify` names the chains, the records and what of them does not fit.',
      '`millrace audit export --out trail.ndjson` keeps what there is now; it verifies without the store.',
      'Who could write to the store, and when? A backup from before says what stood there.',
    ],
  },
  {
    name: 'MillraceAuditNotSwept',
    severity: 'warning',
    expr: `time() - max(${series(AUDIT_METRICS.swept)}) > 86400`,
    for: '1h',
    summary: 'Nobody has verified the audit trail for a day',
    description:
      'The sweep verifies the whole trail again and again. When it has not ended for a day, a change in the store goes unnoticed.',
    means: 'No sweep of the whole trail has ended for a day.',
    steps: [
      '`MILLRACE_AUDIT_SWEEP_MS` of the audit app must not be 0.',
      '`duty.failed` in its log says why a sweep ended early.',
      '`millrace audit verify` does the same once, and says how long it takes.',
    ],
  },
  {
    name: 'MillraceProjectionStuck',
    severity: 'critical',
    expr: `max by (partition) (${series(AUDIT_METRICS.lagSeconds)}) > 120`,
    for: '2m',
    summary: 'The audit trail is {{ $value | humanizeDuration }} behind in {{ $labels.partition }}',
    description:
      'Nothing is lost, but the log in Redis grows until it is recorded. The log of the audit app says what is wrong with its store; GET /readyz names it.',
    means:
      'The oldest entry of a log that is not recorded yet has waited for two minutes: trail and read models stand still.',
    steps: [
      '`GET /readyz` of the audit app: it names the store or the recorder that fails.',
      'Disk full, database down, a lock held by somebody else? Its log has `recorder.failed` with the error.',
      'Delivery goes on meanwhile. Watch the memory of Redis: the log is not trimmed before it is recorded.',
      'It catches up by itself; the dashboard Audit shows how fast.',
    ],
  },
  {
    name: 'MillraceNoRecorder',
    severity: 'critical',
    expr: `max by (partition) (${series(AUDIT_METRICS.recorder)}) == 0 or absent(${series(AUDIT_METRICS.recorder)})`,
    for: '1m',
    summary: 'Nobody records the log {{ $labels.partition }}',
    description:
      'No audit app holds the lease of a recorder: start one. Nothing is lost meanwhile, and the log in Redis grows.',
    means: 'No audit app runs, or none gets the lease on a log.',
    steps: ['Start the audit app.', 'If one runs: `GET /readyz`, and `recorder.` in its log.'],
  },
  {
    name: 'MillraceRecordingFails',
    severity: 'warning',
    expr: `sum by (partition) (increase(${series(AUDIT_METRICS.failures)}[10m])) > 3`,
    summary: 'Recording {{ $labels.partition }} has failed {{ $value | humanize }} times in ten minutes',
    description:
      'The log of the audit app has each error. It goes on from where it was, and repeats until it succeeds.',
    means: 'Writing to the audit store fails again and again.',
    steps: ['`recorder.failed` in the log of the audit app has the error.', 'Then as for MillraceProjectionStuck.'],
  },
]

import { AUDIT_METRICS } from '@millrace/contracts'
import { bucketRates, quantile, series } from '../expression.ts'
import type { Dashboard } from './dashboard.ts'

const {
  records,
  lastRecorded,
  lagEntries,
  lagSeconds,
  recorder,
  failures,
  foldDuration,
  openStreams,
  verified,
  broken,
  swept,
} = AUDIT_METRICS

export const AUDIT: Dashboard = {
  uid: 'millrace-audit',
  title: 'Millrace: audit',
  description: 'Whether the trail and the read models keep up with the log, and whether the chains verify.',
  variables: [],
  rows: [
    {
      title: 'Recording',
      panels: [
        {
          title: 'Records',
          description: 'Audit records written, by kind.',
          ...{ kind: 'lines', unit: 'ops' },
          targets: [{ expr: `sum by (kind) (rate(${series(records)}[$__rate_interval]))`, legend: '{{kind}}' }],
        },
        {
          title: 'Behind',
          description:
            'How long the oldest entry that is not recorded yet has waited. Above two minutes an alert says so.',
          ...{ kind: 'lines', unit: 's' },
          targets: [{ expr: `max by (partition) (${series(lagSeconds)})`, legend: '{{partition}}' }],
        },
        {
          title: 'Entries behind',
          description: 'Entries of each log that are not recorded yet. Redis keeps them until they are.',
          ...{ kind: 'lines', unit: 'short' },
          targets: [{ expr: `max by (partition) (${series(lagEntries)})`, legend: '{{partition}}' }],
        },
        {
          title: 'Time to fold a batch',
          description: 'Commit included. A batch of one is about an fsync, a batch of a thousand about 25 ms.',
          ...{ kind: 'lines', unit: 's' },
          targets: [0.5, 0.95, 0.99].map((rank) => ({
            expr: quantile(rank, bucketRates(foldDuration, [])),
            legend: `p${rank * 100}`,
          })),
        },
        {
          title: 'Failures',
          description: 'Times in five minutes that recording had to pause because of an error.',
          ...{ kind: 'bars', unit: 'short' },
          targets: [{ expr: `sum by (partition) (increase(${series(failures)}[5m]))`, legend: '{{partition}}' }],
        },
        {
          title: 'Recorders',
          description: 'Which process records which log: exactly one each.',
          ...{ kind: 'table', unit: 'short' },
          targets: [{ expr: `${series(recorder)} == 1`, legend: '{{partition}} {{instance}}' }],
        },
      ],
    },
    {
      title: 'Trust',
      panels: [
        {
          title: 'Verified chains',
          description: 'Chains verified, by what was found. Any that was tampered with is an alert.',
          ...{ kind: 'lines', unit: 'short' },
          targets: [{ expr: `sum by (result) (increase(${series(verified)}[5m]))`, legend: '{{result}}' }],
        },
        {
          title: 'Not intact',
          description: 'Chains and trails that the last sweep found tampered with or unverifiable.',
          ...{ kind: 'lines', unit: 'short' },
          targets: [{ expr: `max by (what) (${series(broken)})`, legend: '{{what}}' }],
        },
        {
          title: 'Last sweep',
          description: 'How long ago the whole trail was last verified.',
          ...{ kind: 'lines', unit: 's' },
          targets: [{ expr: `time() - (max(${series(swept)}) > 0)`, legend: 'age' }],
        },
        {
          title: 'Newest record',
          description: 'How long ago the newest event that was recorded happened.',
          ...{ kind: 'lines', unit: 's' },
          targets: [{ expr: `time() - (max(${series(lastRecorded)}) > 0)`, legend: 'age' }],
        },
        {
          title: 'Progress streams',
          description: 'Streams that people have open.',
          ...{ kind: 'lines', unit: 'short' },
          targets: [{ expr: `sum(${series(openStreams)})`, legend: 'open' }],
        },
      ],
    },
  ],
}

import { AUDIT_METRICS, JOB_METRICS, PROCESS_METRICS, QUEUE_METRICS, SCHEDULE_METRICS } from '@millrace/contracts'
import { bucketRates, quantile, selector, series } from '../expression.ts'
import { RECORDINGS } from '../recordings.ts'
import { type Dashboard, QUEUE_LEGEND } from './dashboard.ts'

const jobs = (state: string) => `sum(${selector(RECORDINGS.queueJobs.record, { state })})`
const requests = `${PROCESS_METRICS.requestDuration.name}_count`

export const OVERVIEW: Dashboard = {
  uid: 'millrace-overview',
  title: 'Millrace: overview',
  description: 'Whether the platform does its work: what comes in, what is delivered, what stands still.',
  variables: [],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          title: 'Waiting',
          description: 'Jobs that could run and wait for a slot, over all queues.',
          ...{ kind: 'number', unit: 'short', width: 4 },
          targets: [{ expr: jobs('waiting'), legend: 'waiting' }],
        },
        {
          title: 'Running',
          description: 'Jobs that are being delivered.',
          ...{ kind: 'number', unit: 'short', width: 4 },
          targets: [{ expr: jobs('running'), legend: 'running' }],
        },
        {
          title: 'Oldest waiting',
          description:
            'How long the oldest job that could run has waited. Above a quarter of an hour an alert says so.',
          ...{ kind: 'number', unit: 's', width: 4 },
          targets: [{ expr: `max(${RECORDINGS.queueAge.record})`, legend: 'age' }],
        },
        {
          title: 'Dead letters',
          description: 'Jobs that failed for good and are kept until they are redriven or discarded.',
          ...{ kind: 'number', unit: 'short', width: 4 },
          targets: [{ expr: `sum(${RECORDINGS.deadLetters.record})`, legend: 'dead letters' }],
        },
        {
          title: 'Audit behind',
          description: 'How long the oldest entry of a log that is not recorded yet has waited.',
          ...{ kind: 'number', unit: 's', width: 4 },
          targets: [{ expr: `max(${series(AUDIT_METRICS.lagSeconds)})`, legend: 'lag' }],
        },
        {
          title: 'Processes',
          description: 'Processes that answer, by app.',
          ...{ kind: 'number', unit: 'short', width: 4 },
          targets: [{ expr: 'sum by (app) (up{job="millrace"})', legend: '{{app}}' }],
        },
      ],
    },
    {
      title: 'Work',
      panels: [
        {
          title: 'Jobs accepted',
          description: 'Jobs that producers put in, by the answer that they got.',
          ...{ kind: 'lines', unit: 'ops' },
          targets: [
            { expr: `sum by (result) (rate(${series(JOB_METRICS.enqueued)}[$__rate_interval]))`, legend: '{{result}}' },
          ],
        },
        {
          title: 'Jobs finished',
          description: 'Jobs that reached their end, by outcome. Below what is accepted for long, a backlog grows.',
          ...{ kind: 'lines', unit: 'ops' },
          targets: [{ expr: `sum by (outcome) (${RECORDINGS.finished.record})`, legend: '{{outcome}}' }],
        },
        {
          title: 'Ticks',
          description: 'Nominal times of schedules by what became of them.',
          ...{ kind: 'lines', unit: 'ops' },
          targets: [
            {
              expr: `sum by (result) (rate(${series(SCHEDULE_METRICS.ticks)}[$__rate_interval]))`,
              legend: '{{result}}',
            },
          ],
        },
        {
          title: 'Longest queues',
          description: 'The ten queues in which most jobs wait.',
          ...{ kind: 'lines', unit: 'short' },
          targets: [
            { expr: `topk(10, ${selector(RECORDINGS.queueJobs.record, { state: 'waiting' })})`, legend: QUEUE_LEGEND },
          ],
        },
        {
          title: 'Slowest queues',
          description: 'The ten queues with the longest run time: 95 in 100 attempts are faster.',
          ...{ kind: 'lines', unit: 's' },
          targets: [{ expr: `topk(10, ${RECORDINGS.durationP95.record})`, legend: QUEUE_LEGEND }],
        },
        {
          title: 'Completion',
          description:
            'From accepted to final, over all queues. The points are single jobs: they lead to their traces.',
          ...{ kind: 'lines', unit: 's' },
          targets: [0.5, 0.95, 0.99].map((rank) => ({
            expr: quantile(rank, bucketRates(JOB_METRICS.completion, [])),
            legend: `p${rank * 100}`,
            exemplars: true,
          })),
        },
      ],
    },
    {
      title: 'Apps',
      panels: [
        {
          title: 'Requests',
          description: 'HTTP requests that the apps answer, by status. Above one in twenty with 5xx an alert says so.',
          ...{ kind: 'lines', unit: 'ops', width: 6 },
          targets: [
            {
              expr: `sum by (app, http_response_status_code) (rate(${requests}[$__rate_interval]))`,
              legend: '{{app}} {{http_response_status_code}}',
            },
          ],
        },
        {
          title: 'Slow requests',
          description: '95 in 100 requests are answered faster.',
          ...{ kind: 'lines', unit: 's', width: 6 },
          targets: [{ expr: quantile(0.95, bucketRates(PROCESS_METRICS.requestDuration, ['app'])), legend: '{{app}}' }],
        },
        {
          title: 'Processor time',
          description:
            'Of each process; 1 is a whole processor. A dispatcher above 0.9 is the bottleneck: start another.',
          ...{ kind: 'lines', unit: 'percentunit', width: 6 },
          targets: [
            {
              expr: 'sum by (app, instance) (rate(process_cpu_seconds_total{job="millrace"}[$__rate_interval]))',
              legend: '{{app}} {{instance}}',
            },
          ],
        },
        {
          title: 'Event loop lag',
          description: 'How late timers of each process fire, one in a hundred later than this.',
          ...{ kind: 'lines', unit: 's', width: 6 },
          targets: [{ expr: 'nodejs_eventloop_lag_p99_seconds{job="millrace"}', legend: '{{app}} {{instance}}' }],
        },
        {
          title: 'Memory',
          description: 'What each process takes.',
          ...{ kind: 'lines', unit: 'bytes', width: 12 },
          targets: [{ expr: 'process_resident_memory_bytes{job="millrace"}', legend: '{{app}} {{instance}}' }],
        },
        {
          title: 'Redis memory',
          description: 'At the limit, where there is one, producers are refused with 503; what was accepted goes on.',
          ...{ kind: 'lines', unit: 'bytes', width: 12 },
          targets: [
            { expr: `max(${series(QUEUE_METRICS.memoryUsed)})`, legend: 'used' },
            { expr: `max(${series(QUEUE_METRICS.memoryLimit)})`, legend: 'limit (0 is none)' },
          ],
        },
        {
          title: 'Log',
          description: 'Entries in the log of each partition. It grows while its slowest reader stands still.',
          ...{ kind: 'lines', unit: 'short', width: 12 },
          targets: [{ expr: `max by (partition) (${series(QUEUE_METRICS.logLength)})`, legend: '{{partition}}' }],
        },
        {
          title: 'Log taken away',
          description: 'Entries in five minutes that every reader has had. What is recorded is in the audit trail.',
          ...{ kind: 'bars', unit: 'short', width: 12 },
          targets: [
            { expr: `sum by (partition) (increase(${series(AUDIT_METRICS.trimmed)}[5m]))`, legend: '{{partition}}' },
          ],
        },
        {
          title: 'Connections made again',
          description: 'Connections to Redis in five minutes that were lost and stand again. A failover shows here.',
          ...{ kind: 'bars', unit: 'short', width: 12 },
          targets: [{ expr: `sum by (app) (increase(${series(PROCESS_METRICS.reconnects)}[5m]))`, legend: '{{app}}' }],
        },
        {
          title: 'Partitions degraded',
          description: 'Partitions that a process cannot do its work on, mostly for want of their Redis.',
          ...{ kind: 'lines', unit: 'short', width: 12 },
          targets: [{ expr: `sum by (app) (${series(PROCESS_METRICS.partitionDegraded)})`, legend: '{{app}}' }],
        },
        {
          title: 'Versions',
          description: 'What runs, and on which Node.',
          ...{ kind: 'table', unit: 'short', width: 12 },
          targets: [{ expr: `count by (app, version, node) (${series(PROCESS_METRICS.build)})`, legend: '{{app}}' }],
        },
      ],
    },
  ],
}

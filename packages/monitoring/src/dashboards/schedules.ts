import { SCHEDULE_METRICS } from '@millrace/contracts'
import { bucketRates, quantile, selector, series } from '../expression.ts'
import { RECORDINGS } from '../recordings.ts'
import { type Dashboard, IN_SCHEDULE, SCHEDULE_LEGEND } from './dashboard.ts'

const { ticks, delay, next, lastSuccess, paused } = SCHEDULE_METRICS

export const SCHEDULES: Dashboard = {
  uid: 'millrace-schedules',
  title: 'Millrace: schedules',
  description:
    'Whether schedules fire, how late, and what became of each time. Their runs are jobs: see the dashboard Queue.',
  variables: [
    { name: 'namespace', label: 'Namespace', values: `label_values(${next.name}, namespace)` },
    { name: 'schedule', label: 'Schedule', values: `label_values(${next.name}{namespace=~"$namespace"}, schedule)` },
  ],
  rows: [
    {
      title: 'Ticks',
      panels: [
        {
          title: 'Times by what became of them',
          description: 'Nominal times: fired, triggered by hand, backfilled, skipped, or missed.',
          ...{ kind: 'bars', unit: 'short' },
          targets: [
            { expr: `sum by (result) (increase(${series(ticks, {}, IN_SCHEDULE)}[5m]))`, legend: '{{result}}' },
          ],
        },
        {
          title: 'How late',
          description: "From a planned tick's time to its enqueued job.",
          ...{ kind: 'lines', unit: 's' },
          targets: [0.5, 0.95, 0.99].map((rank) => ({
            expr: quantile(rank, bucketRates(delay, [], IN_SCHEDULE)),
            legend: `p${rank * 100}`,
          })),
        },
        {
          title: 'How late, all schedules',
          description: 'One tick in a hundred is later. Above a second an alert says so.',
          ...{ kind: 'lines', unit: 's' },
          targets: [{ expr: RECORDINGS.scheduleDelayP99.record, legend: 'p99' }],
        },
      ],
    },
    {
      title: 'Schedules',
      panels: [
        {
          title: 'Until the next time',
          description: 'Below zero: it is overdue, and nobody fires it. None: it never fires again.',
          ...{ kind: 'lines', unit: 's' },
          targets: [
            {
              expr: `(${selector(RECORDINGS.scheduleNext.record, {}, IN_SCHEDULE)} > 0) - time()`,
              legend: SCHEDULE_LEGEND,
            },
          ],
        },
        {
          title: 'Since the last success',
          description: 'How long ago a run last succeeded; none where none has.',
          ...{ kind: 'lines', unit: 's' },
          targets: [
            {
              expr: `time() - (max by (namespace, schedule) (${series(lastSuccess, {}, IN_SCHEDULE)}) > 0)`,
              legend: SCHEDULE_LEGEND,
            },
          ],
        },
        {
          title: 'Paused',
          description: '1 while it is paused, by hand or by the manifest.',
          ...{ kind: 'table', unit: 'short' },
          targets: [
            { expr: `max by (namespace, schedule) (${series(paused, {}, IN_SCHEDULE)})`, legend: SCHEDULE_LEGEND },
          ],
        },
      ],
    },
  ],
}

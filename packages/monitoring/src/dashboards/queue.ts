import { JOB_METRICS, QUEUE_METRICS } from '@millrace/contracts'
import { bucketRates, quantile, selector, series } from '../expression.ts'
import { RECORDINGS } from '../recordings.ts'
import { type Dashboard, IN_QUEUE, type Panel, QUEUE_LEGEND, type Target } from './dashboard.ts'

const rate = (samples: string) => `rate(${samples}[$__rate_interval])`
const by = (labels: string, samples: string) => `sum by (${labels}) (${samples})`

/** Half, 95 and 99 in 100 of what a histogram measured. */
function quantiles(metric: Parameters<typeof bucketRates>[0]): Target[] {
  return [0.5, 0.95, 0.99].map((rank) => ({
    expr: quantile(rank, bucketRates(metric, [], IN_QUEUE)),
    legend: `p${rank * 100}`,
    exemplars: true,
  }))
}

function lines(title: string, unit: Panel['unit'], description: string, targets: readonly Target[]): Panel {
  return { title, description, kind: 'lines', unit, targets }
}

export const QUEUE: Dashboard = {
  uid: 'millrace-queue',
  title: 'Millrace: queue',
  description: 'One queue or several: what waits, how long, how it runs, and what fails.',
  variables: [
    { name: 'namespace', label: 'Namespace', values: `label_values(${QUEUE_METRICS.jobs.name}, namespace)` },
    {
      name: 'queue',
      label: 'Queue',
      values: `label_values(${QUEUE_METRICS.jobs.name}{namespace=~"$namespace"}, queue)`,
    },
  ],
  rows: [
    {
      title: 'Backlog',
      panels: [
        lines(
          'Jobs by state',
          'short',
          'Waiting could run now; scheduled waits for its time, or to be retried; running is being delivered.',
          [{ expr: `sum by (state) (${selector(RECORDINGS.queueJobs.record, {}, IN_QUEUE)})`, legend: '{{state}}' }],
        ),
        lines('Oldest waiting', 's', 'How long the oldest job that could run has waited.', [
          { expr: selector(RECORDINGS.queueAge.record, {}, IN_QUEUE), legend: QUEUE_LEGEND },
        ]),
        lines(
          'Wait',
          's',
          'From ready to the start of an attempt. The points are single jobs: they lead to their traces.',
          quantiles(JOB_METRICS.wait),
        ),
        lines('Longest waits by queue', 's', '95 in 100 jobs of the queue wait less.', [
          { expr: `topk(10, ${selector(RECORDINGS.waitP95.record, {}, IN_QUEUE)})`, legend: QUEUE_LEGEND },
        ]),
        lines('In flight', 'short', 'Requests under way, beside how many may be.', [
          { expr: `sum(${series(JOB_METRICS.inFlight, {}, IN_QUEUE)})`, legend: 'in flight' },
          {
            expr: `sum(max by (namespace, queue) (${series(QUEUE_METRICS.concurrency, {}, IN_QUEUE)}))`,
            legend: 'limit',
          },
        ]),
        {
          title: 'Held back',
          description: 'Queues that are paused, draining, or wait for an endpoint whose circuit is open: 1 is yes.',
          ...{ kind: 'table', unit: 'short' },
          targets: [QUEUE_METRICS.paused, QUEUE_METRICS.draining].map((metric) => ({
            expr: `max by (namespace, queue, __name__) (${series(metric, {}, IN_QUEUE)})`,
            legend: QUEUE_LEGEND,
          })),
        },
      ],
    },
    {
      title: 'Delivery',
      panels: [
        lines('Enqueued', 'ops', 'Enqueue requests by result.', [
          { expr: by('result', rate(series(JOB_METRICS.enqueued, {}, IN_QUEUE))), legend: '{{result}}' },
        ]),
        lines('Attempts', 'ops', 'Delivery attempts by outcome.', [
          { expr: by('outcome', rate(series(JOB_METRICS.attempts, {}, IN_QUEUE))), legend: '{{outcome}}' },
        ]),
        lines('Finished', 'ops', 'Jobs that reached their end, by outcome.', [
          { expr: by('outcome', selector(RECORDINGS.finished.record, {}, IN_QUEUE)), legend: '{{outcome}}' },
        ]),
        lines(
          'Run time',
          's',
          'How long the endpoint takes to answer. The points are single jobs: they lead to their traces.',
          quantiles(JOB_METRICS.duration),
        ),
        lines(
          'Completion',
          's',
          'From accepted to final, waiting and retries included.',
          quantiles(JOB_METRICS.completion),
        ),
        lines('Attempts per job', 'short', 'How many attempts jobs need: 95 in 100 need no more.', [
          {
            expr: quantile(0.95, bucketRates(JOB_METRICS.attemptsPerJob, ['namespace', 'queue'], IN_QUEUE)),
            legend: QUEUE_LEGEND,
          },
        ]),
        lines('Jobs per batch', 'short', 'How full the requests of queues with batches are; half of them are fuller.', [
          {
            expr: quantile(0.5, bucketRates(JOB_METRICS.batchJobs, ['namespace', 'queue'], IN_QUEUE)),
            legend: QUEUE_LEGEND,
          },
        ]),
        lines('Takeovers', 'ops', 'Jobs taken over from dispatchers that fell silent.', [
          { expr: `sum(${rate(series(JOB_METRICS.takeovers, {}, IN_QUEUE))})`, legend: 'taken over' },
          { expr: `sum(${rate(series(JOB_METRICS.leasesLost))})`, legend: 'leases lost' },
        ]),
        lines('Unaccounted', 'short', 'Accepted jobs that no state accounts for. Anything but 0 is a fault.', [
          {
            expr: `max by (namespace, queue) (${series(QUEUE_METRICS.imbalance, {}, IN_QUEUE)})`,
            legend: QUEUE_LEGEND,
          },
        ]),
      ],
    },
    {
      title: 'Failures',
      panels: [
        lines(
          'Failed attempts by reason',
          'ops',
          'Attempts that did not succeed. What each reason means: docs/errors.md.',
          [
            {
              expr: by('reason', rate(series(JOB_METRICS.attempts, {}, [...IN_QUEUE, 'reason!=""']))),
              legend: '{{reason}}',
            },
          ],
        ),
        lines(
          'New dead letters',
          'short',
          'Jobs that became dead letters in five minutes, by the reason of the last attempt.',
          [
            {
              expr: by('reason', `increase(${series(JOB_METRICS.deadLetters, {}, IN_QUEUE)}[5m])`),
              legend: '{{reason}}',
            },
          ],
        ),
        lines('Dead letters', 'short', 'Those that are there.', [
          { expr: selector(RECORDINGS.deadLetters.record, {}, IN_QUEUE), legend: QUEUE_LEGEND },
        ]),
        lines('Redriven', 'ops', 'Dead letters put back into their queue.', [
          { expr: `sum(${rate(series(JOB_METRICS.redriven, {}, IN_QUEUE))})`, legend: 'redriven' },
        ]),
        lines(
          'Open circuits',
          'short',
          'Endpoints and origins that do not answer, by the queue whose answer opened the circuit.',
          [
            {
              expr: `max by (namespace, queue, scope) (${series(QUEUE_METRICS.circuitOpen, {}, IN_QUEUE)})`,
              legend: `${QUEUE_LEGEND} {{scope}}`,
            },
          ],
        ),
        lines('Figures read', 's', 'How old the figures of the queues are. They are read every five seconds.', [
          { expr: `time() - max(${series(QUEUE_METRICS.collected)})`, legend: 'age' },
        ]),
      ],
    },
  ],
}

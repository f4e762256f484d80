import { SUBSCRIPTION_METRICS } from '@millrace/contracts'
import { bucketRates, quantile, selector, series } from '../expression.ts'
import { RECORDINGS } from '../recordings.ts'
import { type Dashboard, IN_QUEUE, QUEUE_LEGEND } from './dashboard.ts'

const {
  publishDuration,
  eventBytes,
  published,
  routed,
  routerLag,
  subscriptionLag,
  subscriptionUnread,
  subscriptionBehind,
  lostEvents,
} = SUBSCRIPTION_METRICS

export const SUBSCRIPTIONS: Dashboard = {
  uid: 'millrace-subscriptions',
  title: 'Millrace: subscriptions',
  description:
    'What is published, and how far each subscription is behind. Deliveries are jobs: see the dashboard Queue.',
  variables: [
    { name: 'namespace', label: 'Namespace', values: `label_values(${subscriptionLag.name}, namespace)` },
    {
      name: 'queue',
      label: 'Subscription',
      values: `label_values(${subscriptionLag.name}{namespace=~"$namespace"}, queue)`,
    },
  ],
  rows: [
    {
      title: 'Events',
      panels: [
        {
          title: 'Published',
          description: 'Events by what became of them, over all namespaces.',
          ...{ kind: 'lines', unit: 'ops' },
          targets: [{ expr: `sum by (result) (rate(${series(published)}[$__rate_interval]))`, legend: '{{result}}' }],
        },
        {
          title: 'Published by namespace',
          description: 'Who publishes most.',
          ...{ kind: 'lines', unit: 'ops' },
          targets: [
            {
              expr: `topk(10, sum by (namespace) (rate(${series(published)}[$__rate_interval])))`,
              legend: '{{namespace}}',
            },
          ],
        },
        {
          title: 'Jobs made',
          description: 'Jobs that the router made of events: one for each subscription that an event matches.',
          ...{ kind: 'lines', unit: 'ops' },
          targets: [{ expr: `sum(rate(${series(routed)}[$__rate_interval]))`, legend: 'jobs' }],
        },
      ],
    },
    {
      title: 'Publishing',
      panels: [
        {
          title: 'Time to publish',
          description: 'From the request to its answer, when the events are in the log.',
          ...{ kind: 'lines', unit: 's', width: 12 },
          targets: [0.5, 0.95, 0.99].map((rank) => ({
            expr: quantile(rank, bucketRates(publishDuration, [])),
            legend: `p${rank * 100}`,
          })),
        },
        {
          title: 'Size of events',
          description:
            '95 in 100 events are smaller. Large data is better stored elsewhere, with a reference in the event.',
          ...{ kind: 'lines', unit: 'bytes', width: 12 },
          targets: [{ expr: quantile(0.95, bucketRates(eventBytes, [])), legend: 'p95' }],
        },
      ],
    },
    {
      title: 'Behind',
      panels: [
        {
          title: 'Oldest event not delivered',
          description: 'How old it is; 0 when there is none. Above a quarter of an hour an alert says so.',
          ...{ kind: 'lines', unit: 's' },
          targets: [{ expr: selector(RECORDINGS.subscriptionAge.record, {}, IN_QUEUE), legend: QUEUE_LEGEND }],
        },
        {
          title: 'Events not delivered',
          description:
            'Events that wait in the queue of the subscription or are being delivered, and those that the log still holds for it.',
          ...{ kind: 'lines', unit: 'short' },
          targets: [
            { expr: `max by (namespace, queue) (${series(subscriptionLag, {}, IN_QUEUE)})`, legend: QUEUE_LEGEND },
            {
              expr: `max by (namespace, queue) (${series(subscriptionUnread, {}, IN_QUEUE)})`,
              legend: `${QUEUE_LEGEND} in the log`,
            },
          ],
        },
        {
          title: 'Reading on their own',
          description:
            '1 while a subscription reads the log on its own: it began earlier, was moved, or has enough waiting.',
          ...{ kind: 'table', unit: 'short' },
          targets: [
            { expr: `max by (namespace, queue) (${series(subscriptionBehind, {}, IN_QUEUE)})`, legend: QUEUE_LEGEND },
          ],
        },
        {
          title: 'Router behind',
          description: 'Entries of each log that the router has not looked at yet.',
          ...{ kind: 'lines', unit: 'short', width: 12 },
          targets: [{ expr: `max by (partition) (${series(routerLag)})`, legend: '{{partition}}' }],
        },
        {
          title: 'Taken ahead',
          description:
            'Times in an hour that retention ended for what a subscription had not read. Above 0 events are lost to it.',
          ...{ kind: 'bars', unit: 'short', width: 12 },
          targets: [
            {
              expr: `sum by (namespace, queue) (increase(${series(lostEvents, {}, IN_QUEUE)}[1h]))`,
              legend: QUEUE_LEGEND,
            },
          ],
        },
      ],
    },
  ],
}

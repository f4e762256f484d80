import { SUBSCRIPTION_METRICS } from '@millrace/contracts'
import { series } from '../expression.ts'
import { RECORDINGS } from '../recordings.ts'
import type { Alert } from './alert.ts'

const SUBSCRIPTION = '{{ $labels.namespace }}/{{ $labels.queue }}'

export const SUBSCRIPTION_ALERTS: readonly Alert[] = [
  {
    name: 'MillraceSubscriptionBehind',
    severity: 'warning',
    expr: `${RECORDINGS.subscriptionAge.record} > 900`,
    for: '5m',
    summary: `${SUBSCRIPTION} has an event that is {{ $value | humanizeDuration }} old and not delivered`,
    description:
      'The subscriber is slow, away or paused. After MILLRACE_EVENT_RETENTION_MS what it has not read is lost: see the dashboard Subscriptions.',
    means: 'An event has waited for this subscription for a quarter of an hour, in its queue or still in the log.',
    steps: [
      'It is a queue like any other: `millrace jobs explain`, and the steps of MillraceOldestJobTooOld.',
      '`millrace_subscription_behind` 1 says that the log holds events for it; they are kept for `MILLRACE_EVENT_RETENTION_MS`.',
      'If it need not have the old ones: `POST /subscriptions/{id}/move` to now.',
    ],
  },
  {
    name: 'MillraceSubscriptionLostEvents',
    severity: 'critical',
    expr: `sum by (namespace, queue) (increase(${series(SUBSCRIPTION_METRICS.lostEvents)}[1h])) > 0`,
    summary: `${SUBSCRIPTION} has lost events`,
    description:
      'Retention ended for events that it had not read. The event subscription.lost_events in the log says from where to where; fetch them from the audit trail if they are needed.',
    means: 'A subscription was so far behind that the log could not wait for it.',
    steps: [
      '`subscription.lost_events` in the log has the range.',
      'The audit trail has the events themselves: `GET /v1/events`.',
      'Repair the subscriber; give `MILLRACE_EVENT_RETENTION_MS` or `MILLRACE_EVENT_RETENTION_BYTES` more room.',
    ],
  },
  {
    name: 'MillraceRouterBehind',
    severity: 'warning',
    expr: `max by (partition) (${series(SUBSCRIPTION_METRICS.routerLag)}) > 10000`,
    for: '5m',
    summary: 'The router is {{ $value }} entries behind in {{ $labels.partition }}',
    description:
      'Events reach every subscription late. See whether dispatchers lack processor time, or Redis is slow; start another dispatcher.',
    means: 'The log grows faster than dispatchers can look for subscriptions in it.',
    steps: [
      'Event loop lag and processor time of the dispatchers (dashboard Overview); start another one.',
      'Filters are evaluated for each event: a costly one shows in `POST /subscriptions/try`.',
    ],
  },
]

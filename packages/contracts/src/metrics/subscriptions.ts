import { DURABILITIES } from '../jobs-api.ts'
import { BUCKETS } from './buckets.ts'
import type { MetricDefinitions } from './definition.ts'

/** Events and the subscriptions that hear of them, as the router of a dispatcher sees them. */
export const SUBSCRIPTION_METRICS = {
  published: {
    name: 'millrace_events_published_total',
    type: 'counter',
    unit: 'events',
    help: 'Events by what became of them; the namespace is _other where no service has it',
    subject: 'namespace',
    labels: {
      result: {
        appended: '',
        deduplicated: '',
        warned: 'appended, and its schema does not fit',
        refused: 'a request with a mistake in it, whatever number of events it has',
      },
    },
  },
  publishDuration: {
    name: 'millrace_event_publish_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time to publish the events of one request',
    labels: { durability: DURABILITIES },
    buckets: BUCKETS.work,
  },
  eventBytes: {
    name: 'millrace_event_size_bytes',
    type: 'histogram',
    unit: 'bytes',
    help: 'Size of published events, attributes included',
    buckets: BUCKETS.eventBytes,
  },
  routed: {
    name: 'millrace_router_jobs_total',
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs made of events for subscriptions',
  },
  routerLag: {
    name: 'millrace_router_lag_entries',
    type: 'gauge',
    unit: 'entries',
    help: 'Entries of a log that the router has not looked at yet',
    labels: { partition: 'partition' },
  },
  subscriptionLag: {
    name: 'millrace_subscription_undelivered_events',
    type: 'gauge',
    unit: 'events',
    help: 'Events that wait in the queue of a subscription, or are being delivered',
    subject: 'queue',
    rest: 'sum',
  },
  subscriptionUnread: {
    name: 'millrace_subscription_unread_events',
    type: 'gauge',
    unit: 'events',
    help: 'Events in the log that a subscription asks for and that are not in its queue yet',
    subject: 'queue',
    rest: 'sum',
  },
  subscriptionBehind: {
    name: 'millrace_subscription_behind',
    type: 'gauge',
    unit: 'boolean',
    help: '1 while a subscription reads the log on its own: it began earlier, was moved, or has enough waiting',
    subject: 'queue',
    rest: 'max',
  },
  subscriptionOldest: {
    name: 'millrace_subscription_oldest_undelivered_timestamp_seconds',
    type: 'gauge',
    unit: 'timestamp',
    help: 'Time of the oldest event that waits for a subscription or is not read for it yet, 0 when there is none',
    subject: 'queue',
    rest: 'earliest',
  },
  lostEvents: {
    name: 'millrace_subscription_lost_events_total',
    type: 'counter',
    unit: 'times',
    help: 'Times a subscription was taken ahead because retention ended for what it had not read',
    subject: 'queue',
  },
} as const satisfies MetricDefinitions

import { BUCKETS, Counter, Gauge, Histogram, type Registry } from '@millrace/runtime'

/** Everything the dispatcher counts. Labels are names from manifests and fixed words, never ids. */
export function createDispatcherMetrics(registry: Registry) {
  const registers = [registry]
  const queue = ['namespace', 'queue'] as const
  return {
    enqueued: new Counter({
      name: 'millrace_jobs_enqueued_total',
      help: 'Enqueue requests by result',
      labelNames: [...queue, 'result'],
      registers,
    }),
    finished: new Counter({
      name: 'millrace_jobs_finished_total',
      help: 'Jobs that reached their end, by outcome',
      labelNames: [...queue, 'outcome'],
      registers,
    }),
    attempts: new Counter({
      name: 'millrace_delivery_attempts_total',
      help: 'Delivery attempts by outcome and reason',
      labelNames: [...queue, 'outcome', 'reason'],
      registers,
    }),
    duration: new Histogram({
      name: 'millrace_delivery_duration_seconds',
      help: 'Time an endpoint took to answer',
      labelNames: [...queue, 'outcome'],
      buckets: [...BUCKETS.delivery],
      registers,
    }),
    batchJobs: new Histogram({
      name: 'millrace_delivery_batch_jobs',
      help: 'Jobs in one request of a queue with batches',
      labelNames: [...queue],
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
      registers,
    }),
    wait: new Histogram({
      name: 'millrace_job_wait_seconds',
      help: 'Time from ready to the start of an attempt',
      labelNames: [...queue],
      buckets: [...BUCKETS.wait],
      registers,
    }),
    inFlight: new Gauge({
      name: 'millrace_delivery_in_flight',
      help: 'Requests under way in this process',
      labelNames: [...queue],
      registers,
    }),
    jobs: new Gauge({
      name: 'millrace_queue_jobs',
      help: 'Jobs in a queue by state',
      labelNames: [...queue, 'state'],
      registers,
    }),
    oldest: new Gauge({
      name: 'millrace_queue_oldest_age_seconds',
      help: 'Age of the oldest waiting job, 0 when none waits',
      labelNames: [...queue],
      registers,
    }),
    imbalance: new Gauge({
      name: 'millrace_queue_imbalance_jobs',
      help: 'Accepted jobs that no state accounts for; anything but 0 is a fault',
      labelNames: [...queue],
      registers,
    }),
    concurrency: new Gauge({
      name: 'millrace_queue_concurrency_limit',
      help: 'Jobs of a queue that may run at once',
      labelNames: [...queue],
      registers,
    }),
    circuitOpen: new Gauge({
      name: 'millrace_circuit_open',
      help: '1 while the circuit breaker of an endpoint or origin is open, by the queue whose answer opened it',
      labelNames: [...queue, 'scope'],
      registers,
    }),
    paused: new Gauge({
      name: 'millrace_queue_paused',
      help: '1 while a queue is paused',
      labelNames: [...queue],
      registers,
    }),
    draining: new Gauge({
      name: 'millrace_queue_draining',
      help: '1 while a queue is drained: it takes no new jobs',
      labelNames: [...queue],
      registers,
    }),
    redriven: new Counter({
      name: 'millrace_dead_letters_redriven_total',
      help: 'Dead letters put back into their queue through this process',
      labelNames: [...queue],
      registers,
    }),
    takeovers: new Counter({
      name: 'millrace_takeovers_total',
      help: 'Jobs taken over from dispatchers whose lease lapsed',
      labelNames: [...queue],
      registers,
    }),
    leasesLost: new Counter({
      name: 'millrace_leases_lost_total',
      help: 'Times this process lost its lease on a partition',
      registers,
    }),
    published: new Counter({
      name: 'millrace_events_published_total',
      help: 'Events by what became of them: appended, deduplicated, or warned (appended, and its schema does not fit); namespace is other where no service has it',
      labelNames: ['namespace', 'result'],
      registers,
    }),
    routed: new Counter({
      name: 'millrace_router_jobs_total',
      help: 'Jobs made of events for subscriptions',
      registers,
    }),
    routerLag: new Gauge({
      name: 'millrace_router_lag_entries',
      help: 'Entries of a log that the router has not looked at yet',
      labelNames: ['partition'],
      registers,
    }),
    subscriptionLag: new Gauge({
      name: 'millrace_subscription_lag_jobs',
      help: 'Events that wait in the queue of a subscription, or are being delivered',
      labelNames: [...queue],
      registers,
    }),
    subscriptionBehind: new Gauge({
      name: 'millrace_subscription_behind',
      help: '1 while a subscription reads the log on its own: it began earlier, was moved, or has enough waiting',
      labelNames: [...queue],
      registers,
    }),
    subscriptionAge: new Gauge({
      name: 'millrace_subscription_oldest_unread_age_seconds',
      help: 'Age of the oldest event that a subscription has not got yet, 0 when there is none',
      labelNames: [...queue],
      registers,
    }),
    lostEvents: new Counter({
      name: 'millrace_subscription_lost_events_total',
      help: 'Times a subscription was taken ahead because retention ended for what it had not read',
      labelNames: [...queue],
      registers,
    }),
    collected: new Gauge({
      name: 'millrace_collector_last_success_timestamp_seconds',
      help: 'When the queue gauges were last read from Redis',
      registers,
    }),
  }
}
export type DispatcherMetrics = ReturnType<typeof createDispatcherMetrics>

/** A series over time in the words of promtool: `0+5x60` is 0 and then 60 times 5 more, a minute (`every`) apart. */
export interface Case {
  readonly series: Readonly<Record<string, string>>
  /** When to look; an hour after the start when it is not said. */
  readonly at?: string
  /** Minutes between two values, and between two evaluations of all rules: a day of them each minute takes 15 s of a processor. */
  readonly every?: number
}

export interface AlertCase {
  readonly fires: Case & {
    /** The labels of the alert besides its severity. */
    readonly labels: Readonly<Record<string, string>>
    /** What the summary says, with everything filled in. */
    readonly summary: string
  }
  readonly silent: readonly (Case & { readonly because: string })[]
}

const QUEUE = 'namespace="shop",queue="mail"'
const SHOP = { namespace: 'shop', queue: 'mail' }
const SUBSCRIPTION = 'namespace="shop",queue="subscription:mail"'
const SCHEDULE = 'namespace="shop",schedule="nightly"'
const one = (series: string, values: string) => ({ series: { [series]: values } })
const waiting = `millrace_queue_jobs{${QUEUE},state="waiting"}`
const oldest = `millrace_queue_oldest_waiting_timestamp_seconds{${QUEUE}}`
const attempts = (outcome: string) => `millrace_delivery_attempts_total{${QUEUE},outcome="${outcome}"}`
const requests = (status: number) =>
  `http_server_request_duration_seconds_count{app="dispatcher",http_response_status_code="${status}"}`

/** Each alert at what it is for, and at what it must not say. Tests begin at 1970, so a time of day is small. */
export const ALERT_CASES: Readonly<Record<string, AlertCase>> = {
  MillraceBacklogGrowing: {
    fires: {
      ...one(waiting, '0+20x90'),
      labels: { ...SHOP, state: 'waiting' },
      summary: 'Queue shop/mail gets more jobs than it delivers: 1200 wait',
    },
    silent: [
      { because: 'a large backlog shrinks', ...one(waiting, '5000-20x90') },
      { because: 'a backlog stays what it is', ...one(waiting, '5000x90') },
      { because: 'a large backlog grows slowly', ...one(waiting, '9000+5x90') },
      { because: 'few jobs wait, though more and more', ...one(waiting, '0+1x90') },
      { because: 'a burst is delivered', ...one(waiting, '0x50 3000 2500 2000 1500 1000 500 0x40') },
    ],
  },
  MillraceOldestJobTooOld: {
    // Ready since minute 20, so forty minutes old after an hour.
    fires: { ...one(oldest, '0x19 1200x60'), labels: SHOP, summary: 'A job of shop/mail has waited for 40m 0s' },
    silent: [
      { because: 'none waits', ...one(oldest, '0x90') },
      { because: 'each waits for a minute', ...one(oldest, '1+60x90') },
    ],
  },
  MillraceDeadLetters: {
    fires: {
      ...one(`millrace_dead_letters{${QUEUE}}`, '0x30 3x60'),
      ...{ labels: SHOP, summary: '3 dead letters in shop/mail' },
    },
    silent: [{ because: 'they were redriven', ...one(`millrace_dead_letters{${QUEUE}}`, '3x30 0x60') }],
  },
  MillraceDeliveryFailing: {
    fires: {
      series: { [attempts('succeeded')]: '0+50x90', [attempts('retry')]: '0+50x90' },
      ...{ labels: SHOP, summary: '50% of the attempts of shop/mail fail' },
    },
    silent: [
      { because: 'one in ten fails', series: { [attempts('succeeded')]: '0+90x90', [attempts('retry')]: '0+10x90' } },
      { because: 'nothing is tried', series: { [attempts('succeeded')]: '7x90', [attempts('retry')]: '9x90' } },
    ],
  },
  MillraceEndpointUnreachable: {
    fires: {
      ...one(`millrace_circuit_open{${QUEUE},scope="origin"}`, '0x30 1x60'),
      ...{ labels: { ...SHOP, scope: 'origin' }, summary: 'The origin of shop/mail does not answer' },
    },
    silent: [
      { because: 'the circuit closed again', ...one(`millrace_circuit_open{${QUEUE},scope="origin"}`, '1x50 0x40') },
      { because: 'it has just opened', ...one(`millrace_circuit_open{${QUEUE},scope="origin"}`, '0x57 1x30') },
    ],
  },
  MillraceQueueImbalance: {
    fires: {
      ...one(`millrace_queue_imbalance_jobs{${QUEUE}}`, '0x30 -2x60'),
      ...{ labels: SHOP, summary: 'Queue shop/mail does not account for 2 jobs' },
    },
    silent: [{ because: 'it was a moment', ...one(`millrace_queue_imbalance_jobs{${QUEUE}}`, '0x58 1 0x30') }],
  },
  MillraceLeasesLost: {
    fires: {
      ...one('millrace_leases_lost_total{app="dispatcher",instance="d:1"}', '0x45 1 2 3 4x40'),
      labels: { app: 'dispatcher', instance: 'd:1' },
      summary: 'Dispatcher d:1 keeps losing its lease',
    },
    silent: [
      { because: 'it lost one', ...one('millrace_leases_lost_total{app="dispatcher",instance="d:1"}', '0x50 1x40') },
    ],
  },
  MillraceScheduleOverdue: {
    fires: {
      ...one(`millrace_schedule_next_fire_timestamp_seconds{${SCHEDULE}}`, '3000x90'),
      labels: { namespace: 'shop', schedule: 'nightly' },
      summary: 'Schedule shop/nightly should have fired 10m 0s ago and did not',
    },
    silent: [
      { because: 'it is due later', ...one(`millrace_schedule_next_fire_timestamp_seconds{${SCHEDULE}}`, '9000x90') },
      { because: 'it never fires again', ...one(`millrace_schedule_next_fire_timestamp_seconds{${SCHEDULE}}`, '0x90') },
    ],
  },
  MillraceScheduleMissed: {
    fires: {
      ...one(`millrace_schedule_ticks_total{${SCHEDULE},result="missed"}`, '0x30 2x90'),
      labels: { namespace: 'shop', schedule: 'nightly' },
      // increase() reaches out to the whole hour, so it is a little more than was counted.
      summary: 'Schedule shop/nightly has missed 2 runs in an hour',
    },
    silent: [
      { because: 'it was yesterday', ...one(`millrace_schedule_ticks_total{${SCHEDULE},result="missed"}`, '7x120') },
      { because: 'they fired', ...one(`millrace_schedule_ticks_total{${SCHEDULE},result="fired"}`, '0+1x90') },
    ],
  },
  MillraceScheduleLate: {
    fires: {
      series: {
        [`millrace_schedule_delay_seconds_bucket{${SCHEDULE},le="1"}`]: '0x90',
        [`millrace_schedule_delay_seconds_bucket{${SCHEDULE},le="2.5"}`]: '0+5x90',
        [`millrace_schedule_delay_seconds_bucket{${SCHEDULE},le="+Inf"}`]: '0+5x90',
      },
      ...{ labels: {}, summary: 'Schedules fire 2.485s late' },
    },
    silent: [
      {
        because: 'all fire within a second',
        series: {
          [`millrace_schedule_delay_seconds_bucket{${SCHEDULE},le="1"}`]: '0+5x90',
          [`millrace_schedule_delay_seconds_bucket{${SCHEDULE},le="+Inf"}`]: '0+5x90',
        },
      },
    ],
  },
  MillraceNoScheduler: {
    fires: {
      ...one('up{app="scheduler",job="millrace",instance="s:1"}', '1x40 0x60'),
      labels: {},
      summary: 'No scheduler runs',
    },
    silent: [
      {
        because: 'one of two runs',
        series: {
          'up{app="scheduler",job="millrace",instance="s:1"}': '0x90',
          'up{app="scheduler",job="millrace",instance="s:2"}': '1x90',
        },
      },
    ],
  },
  MillraceSubscriptionBehind: {
    fires: {
      ...one(`millrace_subscription_oldest_undelivered_timestamp_seconds{${SUBSCRIPTION}}`, '1200x90'),
      labels: { namespace: 'shop', queue: 'subscription:mail' },
      summary: 'shop/subscription:mail has an event that is 40m 0s old and not delivered',
    },
    silent: [
      {
        because: 'all are delivered',
        ...one(`millrace_subscription_oldest_undelivered_timestamp_seconds{${SUBSCRIPTION}}`, '0x90'),
      },
    ],
  },
  MillraceSubscriptionLostEvents: {
    fires: {
      ...one(`millrace_subscription_lost_events_total{${SUBSCRIPTION}}`, '0x30 1x60'),
      labels: { namespace: 'shop', queue: 'subscription:mail' },
      summary: 'shop/subscription:mail has lost events',
    },
    silent: [{ because: 'none are lost', ...one(`millrace_subscription_lost_events_total{${SUBSCRIPTION}}`, '4x90') }],
  },
  MillraceRouterBehind: {
    fires: {
      ...one('millrace_router_lag_entries{partition="p0"}', '0x30 20000x60'),
      ...{ labels: { partition: 'p0' }, summary: 'The router is 20000 entries behind in p0' },
    },
    silent: [{ because: 'it keeps up', ...one('millrace_router_lag_entries{partition="p0"}', '900x90') }],
  },
  MillraceAuditChainBroken: {
    fires: {
      ...one('millrace_audit_broken{app="audit",what="tampered"}', '0x55 1x60'),
      ...{ labels: { app: 'audit' }, summary: 'The audit trail has been changed' },
    },
    silent: [
      { because: 'chains verify', ...one('millrace_audit_verify_total{app="audit",result="intact"}', '0+9x90') },
      {
        because: 'none was tampered with',
        ...one('millrace_audit_verify_total{app="audit",result="tampered"}', '0x90'),
      },
      { because: 'the sweep finds nothing', ...one('millrace_audit_broken{app="audit",what="tampered"}', '0x90') },
    ],
  },
  MillraceAuditNotSwept: {
    fires: {
      ...one('millrace_audit_swept_timestamp_seconds{app="audit"}', '60x170'),
      ...{ at: '27h', every: 10, labels: {}, summary: 'Nobody has verified the audit trail for a day' },
    },
    silent: [
      {
        ...{ because: 'it is swept', at: '27h', every: 10 },
        ...one('millrace_audit_swept_timestamp_seconds{app="audit"}', '0+600x170'),
      },
    ],
  },
  MillraceProjectionStuck: {
    fires: {
      ...one('millrace_audit_lag_seconds{partition="p0"}', '0x30 0+60x60'),
      ...{ labels: { partition: 'p0' }, summary: 'The audit trail is 29m 0s behind in p0' },
    },
    silent: [{ because: 'it catches up', ...one('millrace_audit_lag_seconds{partition="p0"}', '0x56 300 0x30') }],
  },
  MillraceNoRecorder: {
    fires: {
      series: {
        'millrace_audit_recorder{partition="p0",instance="a:1"}': '1x30 0x60',
        'millrace_audit_recorder{partition="p0",instance="a:2"}': '0x90',
      },
      ...{ labels: { partition: 'p0' }, summary: 'Nobody records the log p0' },
    },
    silent: [
      {
        because: 'another process has taken over',
        series: {
          'millrace_audit_recorder{partition="p0",instance="a:1"}': '1x30 0x60',
          'millrace_audit_recorder{partition="p0",instance="a:2"}': '0x30 1x60',
        },
      },
    ],
  },
  MillraceRecordingFails: {
    fires: {
      ...one('millrace_audit_record_failures_total{partition="p0"}', '0x49 0+1x60'),
      ...{ labels: { partition: 'p0' }, summary: 'Recording p0 has failed 10 times in ten minutes' },
    },
    silent: [
      { because: 'it failed once', ...one('millrace_audit_record_failures_total{partition="p0"}', '0x55 1x60') },
    ],
  },
  MillraceProcessDown: {
    fires: {
      ...one('up{app="audit",job="millrace",instance="a:1"}', '1x30 0x60'),
      labels: { app: 'audit', job: 'millrace', instance: 'a:1' },
      summary: 'audit at a:1 does not answer',
    },
    silent: [
      { because: 'it missed one scrape', ...one('up{app="audit",job="millrace",instance="a:1"}', '1x58 0 1x60') },
    ],
  },
  MillraceFiguresOld: {
    fires: {
      ...one('millrace_collector_last_success_timestamp_seconds', '3000x90'),
      ...{ labels: {}, summary: 'The figures of queues are 10m 0s old' },
    },
    silent: [{ because: 'they are read', ...one('millrace_collector_last_success_timestamp_seconds', '0+60x90') }],
  },
  MillracePartitionDegraded: {
    fires: {
      ...one('millrace_partition_degraded{app="dispatcher",instance="a:1",partition="p3"}', '0x30 1x60'),
      labels: { app: 'dispatcher', partition: 'p3' },
      summary: 'dispatcher cannot do its work on partition p3',
    },
    silent: [
      {
        because: 'a replica took over',
        ...one('millrace_partition_degraded{app="dispatcher",partition="p3"}', '0x58 1 0x60'),
      },
    ],
  },
  MillraceRedisMemoryHigh: {
    fires: {
      series: { millrace_redis_memory_used_bytes: '90x90', millrace_redis_memory_limit_bytes: '100x90' },
      ...{ labels: {}, summary: 'Redis has used 90% of its memory' },
    },
    silent: [
      {
        because: 'there is no limit',
        series: { millrace_redis_memory_used_bytes: '90x90', millrace_redis_memory_limit_bytes: '0x90' },
      },
      {
        because: 'there is room',
        series: { millrace_redis_memory_used_bytes: '80x90', millrace_redis_memory_limit_bytes: '100x90' },
      },
    ],
  },
  MillraceRequestsFailing: {
    fires: {
      series: { [requests(202)]: '0+90x90', [requests(503)]: '0+10x90' },
      ...{ labels: { app: 'dispatcher' }, summary: 'dispatcher answers 10% of its requests with 5xx' },
    },
    silent: [
      { because: 'clients are wrong, not we', series: { [requests(202)]: '0+50x90', [requests(404)]: '0+50x90' } },
    ],
  },
}

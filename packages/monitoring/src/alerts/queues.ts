import { JOB_METRICS, QUEUE_METRICS } from '@millrace/contracts'
import { selector, series } from '../expression.ts'
import { RECORDINGS } from '../recordings.ts'
import type { Alert } from './alert.ts'

const QUEUE = '{{ $labels.namespace }}/{{ $labels.queue }}'
const waiting = selector(RECORDINGS.queueJobs.record, { state: 'waiting' })
const failing = `${RECORDINGS.failures.record} / (${RECORDINGS.attempts.record} > 0)`

export const QUEUE_ALERTS: readonly Alert[] = [
  {
    name: 'MillraceBacklogGrowing',
    severity: 'warning',
    // Not for a burst: so many that they matter, a tenth more than half an hour ago, and still rising.
    expr: `${waiting} > 100 and ${waiting} > 1.1 * (${waiting} offset 30m) and deriv(${waiting}[10m]) > 0`,
    for: '10m',
    summary: `Queue ${QUEUE} gets more jobs than it delivers: {{ $value }} wait`,
    description:
      'It has been so for half an hour, and goes on. See whether the endpoint is slow, then raise the concurrency of the queue.',
    means: 'More jobs come in than are delivered, and it has been so for half an hour.',
    steps: [
      'Is the queue paused or draining, or its circuit open? `millrace jobs explain <id>` of a waiting job says what it waits for.',
      'Has the run time grown (dashboard Queue, "Run time")? Then the endpoint is slow: look there first.',
      'Else raise `concurrency` in the manifest and apply it, or `rateLimit` where that is what holds jobs back.',
      'If dispatchers use all of their processor time, start another one.',
    ],
  },
  {
    name: 'MillraceOldestJobTooOld',
    severity: 'warning',
    expr: `${RECORDINGS.queueAge.record} > 900`,
    for: '5m',
    summary: `A job of ${QUEUE} has waited for {{ $value | humanizeDuration }}`,
    description:
      'It is ready and nobody has begun it. `millrace jobs explain` says why: the queue is paused, its circuit is open, or it is full.',
    means: 'The oldest job that could run has waited for a quarter of an hour.',
    steps: [
      '`millrace jobs explain <id>` of a waiting job: it names the pause, the circuit, the limit or the line of a key that it waits in.',
      'A pause that is forgotten: `millrace queue resume`.',
      'All slots taken by jobs that hang: shorten `timeoutMs`, see the run time on the dashboard Queue.',
      'Nothing of this: is a dispatcher running and ready? `GET /readyz`.',
    ],
  },
  {
    name: 'MillraceDeadLetters',
    severity: 'warning',
    expr: `${RECORDINGS.deadLetters.record} > 0`,
    for: '1m',
    summary: `{{ $value }} dead letters in ${QUEUE}`,
    description:
      '`millrace dead-letters list` shows them with the last answer of the endpoint. Repair what they failed of, then redrive or discard them.',
    means: 'Jobs failed for good. They are kept until somebody redrives or discards them, and the alert stays as long.',
    steps: [
      '`millrace dead-letters list` shows them with reason, attempts and the last answer; the dashboard Queue shows which reasons there are.',
      'Repair the endpoint or the data.',
      '`POST /dead-letters/redrive` puts them back, all or by filter; `POST /dead-letters/discard` lets them go.',
    ],
  },
  {
    name: 'MillraceDeliveryFailing',
    severity: 'warning',
    expr: `${failing} > 0.2`,
    for: '10m',
    summary: `{{ $value | humanizePercentage }} of the attempts of ${QUEUE} fail`,
    description:
      'Retries hide it for now. The dashboard Queue shows the reasons; see the log of the endpoint for the same time.',
    means: 'More than one attempt in five has failed for ten minutes. What is retried in vain becomes a dead letter.',
    steps: [
      'The dashboard Queue, "Failed attempts by reason": `timeout` and `connection_refused` are the network or a service that is down, `http_status` is its code.',
      'The log of the dispatcher has each attempt as `job.retry`, with status and trace.',
      'To spare the endpoint meanwhile: `millrace queue pause`.',
    ],
  },
  {
    name: 'MillraceEndpointUnreachable',
    severity: 'critical',
    expr: `max by (namespace, queue, scope) (${series(QUEUE_METRICS.circuitOpen)}) == 1`,
    for: '5m',
    summary: `The {{ $labels.scope }} of ${QUEUE} does not answer`,
    description:
      'Its circuit has been open for five minutes: jobs wait and burn no attempts. `breaker.opened` in the log says why; start the service, and delivery goes on by itself.',
    means:
      'A circuit breaker is open: an endpoint, or everything at its host and port, failed again and again. Jobs wait for it.',
    steps: [
      '`breaker.opened` in the log of the dispatcher names the endpoint and the last error.',
      'Is the service running, and at the `url` of its last apply (`GET /services`)?',
      'Nothing is to be done here: a probe closes the circuit as soon as it is answered.',
    ],
  },
  {
    name: 'MillraceQueueImbalance',
    severity: 'critical',
    expr: `max by (namespace, queue) (abs(${series(QUEUE_METRICS.imbalance)})) > 0`,
    for: '2m',
    summary: `Queue ${QUEUE} does not account for {{ $value }} jobs`,
    description:
      'What was accepted is not what succeeded, died, was cancelled, expired or is there. This is a fault of Millrace, or somebody has changed its keys: `GET /queues/…/balance` has the numbers.',
    means: 'The counters of a queue do not add up to the jobs that it has accepted.',
    steps: [
      'Has anybody changed keys in Redis by hand, or was Redis put back from an older copy?',
      '`GET /queues/{namespace}/{name}/balance` has each number; report them.',
    ],
  },
  {
    name: 'MillraceLeasesLost',
    severity: 'warning',
    expr: `sum by (app, instance) (increase(${series(JOB_METRICS.leasesLost)}[15m])) > 2`,
    summary: 'Dispatcher {{ $labels.instance }} keeps losing its lease',
    description:
      'It did not reach Redis in time again and again, so its jobs are delivered twice. See whether it starves of processor time, or Redis is slow.',
    means:
      'A dispatcher could not renew its lease several times in a quarter of an hour. Others take its jobs over, at no cost of an attempt.',
    steps: [
      'Event loop lag and processor time of that process (dashboard Overview).',
      'Is Redis slow? `SLOWLOG GET`, and its disk with `appendfsync always`.',
      'A longer `MILLRACE_LEASE_MS` bears longer pauses and takes over later.',
    ],
  },
]

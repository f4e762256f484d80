import { PROCESS_METRICS, QUEUE_METRICS } from '@millrace/contracts'
import { selector, series } from '../expression.ts'
import type { Alert } from './alert.ts'

const requests = `${PROCESS_METRICS.requestDuration.name}_count`
const failed = selector(requests, {}, ['http_response_status_code=~"5.."'])

export const PROCESS_ALERTS: readonly Alert[] = [
  {
    name: 'MillraceProcessDown',
    severity: 'critical',
    expr: 'up{job="millrace"} == 0',
    for: '1m',
    summary: '{{ $labels.app }} at {{ $labels.instance }} does not answer',
    description:
      'Prometheus cannot read its metrics. Others of its kind go on with its work; start it again, its log says why it ended.',
    means: 'A process that Prometheus knows does not answer `/metrics`.',
    steps: ['Its log says why it ended; with `kill -9` it says nothing.', 'Start it again: it goes on where it was.'],
  },
  {
    name: 'MillraceFiguresOld',
    severity: 'warning',
    expr: `time() - max(${series(QUEUE_METRICS.collected)}) > 30`,
    for: '1m',
    summary: 'The figures of queues are {{ $value | humanizeDuration }} old',
    description:
      'No dispatcher has read them from Redis since. Is Redis there? GET /readyz of a dispatcher says so; alerts on queues see nothing meanwhile.',
    means: 'Dispatchers run and cannot read how many jobs there are.',
    steps: ['`GET /readyz` of the dispatchers.', '`background.failed` in their log has the error.'],
  },
  {
    name: 'MillracePartitionDegraded',
    severity: 'critical',
    expr: `max by (app, partition) (${series(PROCESS_METRICS.partitionDegraded)}) == 1`,
    for: '1m',
    summary: '{{ $labels.app }} cannot do its work on partition {{ $labels.partition }}',
    description:
      'The jobs that lie there stand still, and nothing is lost; other partitions go on. GET /readyz of the app says why.',
    means:
      'A process cannot reach the Redis of a partition, or a duty fails there. On a cluster a failover is shorter than this.',
    steps: [
      '`GET /readyz` of the app: `degraded`, or `problems` where it is all of them, has the reason.',
      'A connection: `redis-cli --cluster check <host:port>` says which slots have no server. Start the primary or its replica.',
      'All servers are there and one process alone says so: the network between them.',
      'A duty: the log of the process has the error.',
    ],
  },
  {
    name: 'MillraceRedisMemoryHigh',
    severity: 'critical',
    expr: `max(${series(QUEUE_METRICS.memoryUsed)}) / (max(${series(QUEUE_METRICS.memoryLimit)}) > 0) > 0.85`,
    for: '5m',
    summary: 'Redis has used {{ $value | humanizePercentage }} of its memory',
    description:
      'At its limit producers are refused; what was accepted goes on. See on the dashboard Overview whether queues or a log grow, and give Redis more.',
    means: 'Redis comes near its `maxmemory`.',
    steps: [
      'A log that grows is not read: MillraceProjectionStuck, or a subscription that is behind.',
      'A backlog: MillraceBacklogGrowing. Dead letters take memory as well: redrive or discard them.',
      '`CONFIG SET maxmemory` gives it more at once.',
    ],
  },
  {
    name: 'MillraceRequestsFailing',
    severity: 'warning',
    expr: `sum by (app) (rate(${failed}[5m])) / sum by (app) (rate(${requests}[5m]) > 0) > 0.05`,
    for: '5m',
    summary: '{{ $labels.app }} answers {{ $value | humanizePercentage }} of its requests with 5xx',
    description:
      'Producers are refused: a full or absent Redis is 503 with Retry-After, anything else is in the log as http.failed.',
    means: 'One request in twenty is refused for a reason of ours.',
    steps: [
      'Which answers (dashboard Overview)? 503 is Redis: full, away or out of memory.',
      '500 is a fault of Millrace: `http.failed` in the log has the error. Report it.',
    ],
  },
]

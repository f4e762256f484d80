import { BUCKETS } from './buckets.ts'
import type { MetricDefinitions } from './definition.ts'

/** What every app says of itself. */
export const PROCESS_METRICS = {
  build: {
    name: 'millrace_build_info',
    type: 'gauge',
    unit: 'boolean',
    help: 'Always 1; the labels say what runs',
    labels: { version: 'version', node: 'version' },
  },
  reconnects: {
    name: 'millrace_redis_reconnects_total',
    type: 'counter',
    unit: 'times',
    help: 'Connections to Redis that were lost and made again',
    labels: { connection: { commands: '', wakeups: 'of pub/sub', log: 'blocking reads of the log' } },
  },
  partitionDegraded: {
    name: 'millrace_partition_degraded',
    type: 'gauge',
    unit: 'boolean',
    help: '1 while this process cannot do its work on a partition, for want of its Redis or because a duty there fails',
    labels: { partition: 'partition' },
  },
  requestDuration: {
    name: 'http_server_request_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time to answer an HTTP request',
    labels: { http_request_method: 'method', http_route: 'route', http_response_status_code: 'status' },
    buckets: BUCKETS.server,
  },
} as const satisfies MetricDefinitions

import { createHttpServer, createLogger, createMetrics, VERSION } from '@millrace/runtime'
import { createAuditMetrics } from '../../apps/audit/src/metrics.ts'
import { createDispatcherMetrics } from '../../apps/dispatcher/src/metrics.ts'
import { createSchedulerMetrics } from '../../apps/scheduler/src/metrics.ts'
import { code, table } from './table.mjs'

const APPS = [
  { name: 'dispatcher', port: 7401, register: createDispatcherMetrics },
  { name: 'scheduler', port: 7402, register: createSchedulerMetrics },
  { name: 'audit', port: 7403, register: createAuditMetrics },
]

/** What Node says of itself differs from system to system, so it is named and not listed. */
const OF_NODE = /^(process|nodejs)_/

export async function metricsPage() {
  const registered = await Promise.all(APPS.map(readApp))
  const names = registered.map((metrics) => metrics.map(({ name }) => name))
  const isCommon = ({ name }) => names.every((list) => list.includes(name))
  const parts = APPS.map(({ name, port }, index) => {
    const own = registered[index].filter((metric) => !isCommon(metric))
    return `## ${name} (port ${port})\n\n${metricTable(own)}`
  })
  return `# Metrics

\`GET /metrics\` of each app, in the text format of Prometheus. Every sample has the label \`app\`. Labels are names from manifests and
fixed words, never ids, so their number is bounded by what is declared. Which of them to watch:
[operations.md](operations.md#what-to-watch).

${parts.join('\n')}
## Every app

${metricTable(registered[0].filter(isCommon))}
Beside these each app has Node's own figures: \`process_*\` (CPU, memory, open files) and \`nodejs_*\` (event loop, heap, garbage
collection).

## Values of labels

${table(['label', 'of', 'values'], LABEL_VALUES)}`
}

const LABEL_VALUES = [
  [
    '`result`',
    '`millrace_jobs_enqueued_total`',
    '`enqueued`, `replayed` (a known idempotency key), `duplicate` (a taken unique key), `debounced`, `conflict`, `refused` (by another job of an atomic batch), `closed`, `draining`',
  ],
  [
    '`outcome`',
    '`millrace_jobs_finished_total`',
    '`succeeded`, `dead`, `cancelled`, `expired`, each counted by the dispatcher that saw it: by an attempt, a command, a worker under a lease, a claim or a take over',
  ],
  [
    '`outcome`',
    '`millrace_delivery_attempts_total`',
    '`succeeded`, `retry`, `postpone` (a retry that does not count), `dead`, `cancelled`, `leased` (its worker took it over), `late` (settled too late, so it does not count), `lost` (the lease was gone)',
  ],
  [
    '`outcome`',
    '`millrace_delivery_duration_seconds`',
    '`succeeded`, `retry`, `postpone`, `dead`, `cancelled`, `leased`, `late`',
  ],
  [
    '`reason`',
    '`millrace_delivery_attempts_total`',
    'empty, a [reason](errors.md#reasons-of-a-failed-attempt), or `lease_lost`',
  ],
  ['`state`', '`millrace_queue_jobs`', '`waiting`, `scheduled`, `running`, `dead`'],
  ['`scope`', '`millrace_circuit_open`', '`origin`, `endpoint`'],
  ['`queue`', 'all that have it', "the queue's address: `sync-record`, `schedule:nightly-sync`, `subscription:orders`"],
  [
    '`result`',
    '`millrace_schedule_ticks_total`',
    '`fired` (late ones included), `triggered` (by hand), `backfilled`, `skipped`, `missed`',
  ],
  ['`result`', '`millrace_events_published_total`', '`appended`, `deduplicated`, `warned`'],
  [
    '`partition`',
    '`millrace_audit_*`, `millrace_router_lag_entries`',
    '`p0`, `p1`, …, `reg` (the log of the registry)',
  ],
  [
    '`kind`',
    '`millrace_audit_records_total`',
    '`job`, `schedule`, `service`, `queue`, `endpoint`, `audit`, `event`, `other`',
  ],
  ['`result`', '`millrace_audit_verify_total`', '`intact`, `broken`, `unknown`'],
]

async function readApp({ name, register }) {
  const registry = createMetrics({ app: name, version: VERSION })
  register(registry)
  // The server registers its own metric; it is closed without ever having listened.
  const logger = createLogger({ app: name, level: 'silent' })
  const options = { title: name, version: VERSION, logger, metrics: registry, bodyLimitBytes: 1024 }
  const server = await createHttpServer({ ...options, ready: async () => ({}) })
  await server.close()
  return registry.getMetricsAsArray().filter((metric) => !OF_NODE.test(metric.name))
}

function metricTable(metrics) {
  return table(
    ['name', 'type', 'labels', 'meaning'],
    metrics.map(({ name, type, labelNames, help }) => [
      code(name),
      type,
      [...labelNames].map(code).join(', ') || '–',
      help,
    ]),
  )
}
